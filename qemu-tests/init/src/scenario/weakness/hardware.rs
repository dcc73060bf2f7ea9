// SPDX-License-Identifier: GPL-2.0

//! Weaknesses in what is done to the hardware.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::ZIP0;
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{BAR2, Device, REGION_MMAP, State};
use vm::engine::ZIP;
use vm::qm::registers;

use super::Seen;
use super::fixture::{commands, doorbells, register, resuming, violations};
use crate::expect::{equal, errno, eventually, refused};
use crate::host::Host;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::register_layout::EQC;

const OUTSIDE: &str = "outside-window";
const INTERLEAVED: &str = "vft-interleaved";
const PAUSED: &str = "dma-after-pause";
const MIGRATION_WRITE: &str = "migration-write-while-running";

/// Accesses to the table by each VF before the violations are looked at.
const ROUNDS: usize = 100;
/// How often one looks. That accesses meet is rare, and waited for where it has to happen.
const LOOKS_C: usize = 500;
const LOOKS_RUST: usize = 20;

/// A function has an EQ and an AEQ, whose doorbells are rung at a start.
const EVENT_QUEUES: u64 = 2;

/// Requests to see whether a device works.
const REQUESTS: usize = 8;

/// Stops that fail after they have waited for 10 ms, 100 us at a time.
const STOPS: usize = 10;
/// One that waits without sleeping gives the CPU away less often than this.
const SLEEPS: u64 = 20;

pub(super) fn outside_window(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    let before = violations(OUTSIDE)?;
    device.set_state_with_file(State::StopCopy)?;
    let outside = violations(OUTSIDE)? - before;
    Ok(if outside > 0 {
        Seen::Weak(format!("{outside} writes into the next VF's window"))
    } else {
        Seen::Sound("no access outside the VF's window".into())
    })
}

fn in_and_out_of_pre_copy(device: &Device) -> Result<()> {
    for _ in 0..ROUNDS {
        drop(device.set_state_with_file(State::PreCopy)?);
        device.set_state(State::Running)?;
    }
    Ok(())
}

pub(super) fn table_of_queues(fixture: &mut Fixture) -> Result<Seen> {
    let kind = fixture.host.kind;
    let devices = [
        fixture.vm.open(kind, &fixture.host.vfs[0])?,
        fixture.vm.open(kind, &fixture.host.vfs[1])?,
    ];
    let before = violations(INTERLEAVED)?;
    let looks = if fixture.host.driver.is_rust() {
        LOOKS_RUST
    } else {
        LOOKS_C
    };
    for look in 1..=looks {
        let results = std::thread::scope(|scope| {
            let both = devices
                .each_ref()
                .map(|device| scope.spawn(|| in_and_out_of_pre_copy(device)));
            both.map(|thread| thread.join())
        });
        let found = violations(INTERLEAVED)? - before;
        if found > 0 {
            let rounds = look * ROUNDS;
            return Ok(Seen::Weak(format!(
                "{found} interleaved accesses in {rounds} times PRE_COPY of two VFs"
            )));
        }
        for result in results {
            match result {
                Ok(result) => result.context("to PRE_COPY and back")?,
                Err(_) => bail!("a thread panicked"),
            }
        }
    }
    Ok(Seen::Sound(format!(
        "no interleaved access in {} times PRE_COPY of two VFs",
        looks * ROUNDS
    )))
}

pub(super) fn half_loaded(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    let ready = |what: &str| match register(&device, registers::VF_STATE)? {
        registers::READY => Ok(true),
        registers::NOT_READY => Ok(false),
        other => bail!("VF_STATE {what} is {other:#x}"),
    };
    ensure!(!ready("at first")?, "the VF is ready without a driver");
    let file = resuming(&device)?;
    file.write_chunks(&stream, &[])?;
    ZIP0.set("fault", "fn1:mailbox-status=3@sqc-bt")?;
    let result = device.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    refused("RESUMING to STOP", result, Errno::IO)?;
    let (ready, state) = (ready("after it")?, device.state()?);
    device.reset()?;
    match (ready, state) {
        (true, State::Resuming) => Ok(Seen::Weak(
            "the VF is ready and in RESUMING after half of it was loaded".into(),
        )),
        (false, State::Error) => Ok(Seen::Sound("the VF is not ready, and in ERROR".into())),
        other => bail!("ready, and state: {other:?}"),
    }
}

/// Whether new work is done. A paused device that is asked for work says so at once.
fn goes_on(fixture: &mut Fixture) -> Result<bool> {
    let before = violations(PAUSED)?;
    fixture.vm.submit_at_once(REQUESTS)?;
    if violations(PAUSED)? > before {
        equal("requests that wait", fixture.vm.waiting(), REQUESTS)?;
        return Ok(false);
    }
    fixture.vm.finish()?;
    fixture.vm.verify()?;
    Ok(true)
}

pub(super) fn failed_stop(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    ZIP0.set("fault", "fn1:vf-busy")?;
    let result = fixture.vm.device()?.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    refused("RUNNING to STOP", result, Errno::BUSY)?;
    equal("state", fixture.vm.device()?.state()?, State::Running)?;
    Ok(if goes_on(fixture)? {
        Seen::Sound("the device is in RUNNING and works".into())
    } else {
        Seen::Weak("the device is in RUNNING and does no work".into())
    })
}

/// A bit of ABNORMAL_INT_STATUS that the PF's driver resets the PF for: a doorbell has timed out.
const ERROR: u32 = 1 << 10;
/// The command to pause ends when this fault is replaced, and it fails after a second.
const HELD: &str = "fn1:mailbox-timeout@pause-qm";
/// How often it is tried to be faster than that second.
const ATTEMPTS: usize = 10;

/// The error comes after the command to pause: a device that has reported one before is not paused.
pub(super) fn stop_at_an_error(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    for _ in 0..ATTEMPTS {
        let device = fixture.vm.device()?;
        let (pauses, bells) = (commands("pause-qm")?, doorbells()?);
        ZIP0.set("fault", HELD)?;
        let (result, raised) = std::thread::scope(|scope| {
            let stop = scope.spawn(|| device.set_state(State::Stop));
            let given = eventually("the command to pause", Duration::from_secs(30), || {
                Ok(commands("pause-qm")? > pauses)
            });
            let raised = given.and_then(|()| ZIP0.set("fault", format!("abnormal={ERROR}")));
            (stop.join(), raised)
        });
        let rung = doorbells()? - bells;
        let state = device.state()?;
        ZIP0.set("fault", "")?;
        raised?;
        let Ok(result) = result else {
            bail!("the thread panicked");
        };
        if matches!(&result, Err(error) if errno(error) == Some(Errno::TIMEDOUT)) {
            device.reset()?;
            fixture.vm.start_over()?;
            continue;
        }
        refused("RUNNING to STOP", result, Errno::BUSY)?;
        equal("doorbells of a device that reports an error", rung, 0)?;
        if state == State::Error {
            return Ok(Seen::Sound("the device is in ERROR".into()));
        }
        equal("state", state, State::Running)?;
        ensure!(
            !goes_on(fixture)?,
            "the device works, and was not restarted"
        );
        return Ok(Seen::Weak(
            "the device is in RUNNING and does no work".into(),
        ));
    }
    bail!("the command to pause has timed out in each of {ATTEMPTS} attempts")
}

pub(super) fn stop_and_go_on(fixture: &mut Fixture) -> Result<Seen> {
    // Nothing of an earlier migration is left in the driver.
    fixture.rebind()?;
    let queues = fixture.work()?;
    let device = fixture.vm.device()?;
    let pauses = commands("pause-qm")?;
    device.set_state(State::Stop)?;
    let pauses = commands("pause-qm")? - pauses;
    ensure!(pauses == 1, "{pauses} commands to pause");
    let before = doorbells()?;
    device.set_state(State::Running)?;
    let restarts = doorbells()? - before;
    match (restarts, goes_on(fixture)?) {
        (0, false) => Ok(Seen::Weak(
            "one PAUSE, no restart, and no work is done in RUNNING".into(),
        )),
        (rung, true) if rung == u64::from(queues) + EVENT_QUEUES => Ok(Seen::Sound(format!(
            "one PAUSE, {queues} queues restarted, and work goes on"
        ))),
        other => bail!("restarts, and whether work goes on: {other:?}"),
    }
}

/// How often this thread has given the CPU away.
fn sleeps() -> Result<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let count = count.context("no count of context switches")?;
    count.trim().parse().context("the count is no number")
}

pub(super) fn busy_wait(fixture: &mut Fixture) -> Result<Seen> {
    let device = fixture.open()?;
    ZIP0.set("fault", "fn1:vf-busy")?;
    // Of what a busy machine does to single ones, the most is the nearest to the truth.
    let mut most = 0;
    for _ in 0..STOPS {
        let before = sleeps()?;
        let result = device.set_state(State::Stop);
        most = most.max(sleeps()? - before);
        refused("RUNNING to STOP", result, Errno::BUSY)?;
    }
    ZIP0.set("fault", "")?;
    device.reset()?;
    Ok(if most < SLEEPS {
        Seen::Weak(format!("a wait of 10 ms sleeps {most} times at most"))
    } else {
        Seen::Sound(format!("a wait of 10 ms sleeps {most} times"))
    })
}

/// What is offered for mapping cannot be mapped where it is smaller than a page.
pub(super) fn half_of_bar2(setup: &Setup) -> Result<Seen> {
    let host = Host::prepare(setup, 1)?;
    ensure!(host.hides_half_of_bar2()?, "no half of BAR 2 is hidden");
    let device = ZIP.vm(1)?.open(host.kind, &host.vfs[0])?;
    let region = device.region(BAR2)?;
    ensure!(
        region.flags & REGION_MMAP != 0,
        "nothing of BAR 2 is offered"
    );
    let size = region.size;
    match device.map_region(BAR2, 0, usize::try_from(size)?) {
        Ok(_) => Ok(Seen::Sound(format!("all {size} bytes of BAR 2 are mapped"))),
        Err(error) => {
            equal("errno", errno(&error), Some(Errno::INVAL))?;
            Ok(Seen::Weak(format!(
                "{size} bytes of BAR 2 cannot be mapped"
            )))
        }
    }
}

pub(super) fn ioeventfd(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let before = violations(MIGRATION_WRITE)?;
    match fixture.vm.device()?.ioeventfd(BAR2, EQC as u64, 0) {
        Ok(event) => {
            rustix::io::write(&event, &1_u64.to_ne_bytes())?;
            eventually("the write to the EQC", Duration::from_secs(120), || {
                Ok(violations(MIGRATION_WRITE)? > before)
            })?;
            Ok(Seen::Weak(
                "an ioeventfd writes the EQC of a running device".into(),
            ))
        }
        Err(error) => {
            refused::<()>("the ioeventfd", Err(error), Errno::INVAL)?;
            Ok(Seen::Sound("the ioeventfd is refused with EINVAL".into()))
        }
    }
}
