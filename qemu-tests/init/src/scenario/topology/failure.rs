// SPDX-License-Identifier: GPL-2.0

//! The PF is reset, its hardware fails, or the bus fails, while a VF is in use.
//!
//! Nobody asks the VF's user. What he has lost he finds out by the state of the hardware; his
//! device goes on existing, and works again at the latest when the PF does.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::{Report, ZIP0};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{DataFile, Device, ERROR, Signal, State};
use vm::engine::ZIP;
use vm::qm::Vm;

use super::answer::{Answers, OtherVf};
use crate::expect::{equal, eventually, refused};
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::register_layout::{ABNORMAL_INT_SET, PF_BAR2_SIZE, PF_BLOCK};
use crate::scenario::support::stuck_thread::{Fate, Task};

const PATIENCE: Duration = Duration::from_secs(100);
/// An error that [`ABNORMAL_INT_SET`] raises: memory that cannot be corrected, for which the device
/// asks for a reset.
const MEMORY_ERROR: u32 = 1 << 2;

const PCI_COMMAND: u64 = 4;
const PCI_COMMAND_MEMORY: u16 = 1 << 1;

const STATES: [State; 4] = [
    State::Running,
    State::PreCopy,
    State::StopCopy,
    State::Resuming,
];

/// Waits for a thread that the kernel may keep for a while.
pub(super) fn done<T: Send + 'static>(what: &str, patience: Duration, task: &Task<T>) -> Result<T> {
    match task.wait(patience, |_| false) {
        Fate::Done(result) => Ok(result),
        Fate::Killed => bail!("{what}: the kernel killed the thread"),
        Fate::StuckInKernel => bail!("{what}: it does not end"),
    }
}

/// Brings VF1, at work, to a state, with as much of a stream as there is in it.
fn go_to(fixture: &mut Fixture, state: State) -> Result<Option<DataFile>> {
    let stream = fixture.full_stream()?;
    fixture.work()?;
    enter(fixture.vm.device()?, state, &stream)
}

/// Brings a running device to a state.
fn enter(device: &Device, state: State, stream: &[u8]) -> Result<Option<DataFile>> {
    if state == State::Running {
        return Ok(None);
    }
    let file = device.set_state_with_file(state)?;
    if state == State::Resuming {
        file.write_chunks(stream, &[])?;
    }
    Ok(Some(file))
}

/// The VM starts anew on a device that was reset, and works.
fn starts_over(fixture: &mut Fixture) -> Result<()> {
    fixture.vm.start_over()?;
    fixture.vm.work(8)
}

pub(super) fn pf_reset(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 2)?;
    for state in STATES {
        let passed = report.point(
            &format!("the PF is reset while its VF is in {state}"),
            || {
                reset_in(&mut fixture, state)?;
                fixture.migrates().context("afterwards")
            },
        );
        ensure!(passed, "the host is not what it was");
    }
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}

/// Resets the PF while VF1 is in `state`, and goes on from there.
fn reset_in(fixture: &mut Fixture, state: State) -> Result<()> {
    let file = go_to(fixture, state)?;
    let other_vf = OtherVf::new(fixture.host.kind, &fixture.host.vfs[1])?;
    let answers = Answers::start(fixture.vm.device()?)?;
    let pf = fixture.host.pf.clone();
    let task = Task::start(move || pf.reset())?;
    done("the reset", PATIENCE, &task)?.context("resetting the PF")?;
    drop(answers);
    drop(other_vf);

    let device = fixture.vm.device()?;
    // No state is left behind the user's back.
    equal("state after the reset", device.state()?, state)?;
    if let (Some(file), State::PreCopy | State::StopCopy) = (&file, state) {
        let length = file.read_available(4096)?.len();
        ensure!(length >= 40, "{length} bytes of a session that goes on");
    }
    // A reset of the PF takes the VFs' command registers along; a VM's driver restores them.
    device.switch(true)?;
    if state != State::Running {
        device.set_state(State::Running).context("to RUNNING")?;
        if let (Some(file), State::Resuming) = (&file, state) {
            refused("a write after it", file.write(&[0]), Errno::NODEV)?;
        }
    }
    // What was loaded or saved is of no use: the queues' contexts are gone.
    fixture.vm.device()?.reset().context("resetting the VF")?;
    starts_over(fixture)?;
    fixture.close()
}

pub(super) fn hardware_error(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 2)?;
    // PRE_COPY is as RUNNING here, and hisi_zip takes its time to give up a PF that is dead.
    for state in [State::Running, State::StopCopy, State::Resuming] {
        let name = format!("the PF fails, and its reset fails, while its VF is in {state}");
        let passed = report.point(&name, || {
            fail_in(&mut fixture, state)?;
            fixture.revive().context("making it as it was")?;
            fixture.migrates().context("afterwards")
        });
        ensure!(passed, "the host is not what it was");
    }
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}

/// Whether the PF's registers can be reached.
fn memory_enabled(fixture: &Fixture) -> Result<bool> {
    let mut command = [0; 2];
    File::open(fixture.host.pf.path("config"))?.read_exact_at(&mut command, PCI_COMMAND)?;
    Ok(u16::from_le_bytes(command) & PCI_COMMAND_MEMORY != 0)
}

/// Raises an error in the PF for which hisi_qm has to reset the device. That takes a method of the
/// firmware, which this machine does not have: PF and VFs are left without memory decoding.
fn fail_in(fixture: &mut Fixture, state: State) -> Result<()> {
    let file = go_to(fixture, state)?;
    let other_vf = OtherVf::new(fixture.host.kind, &fixture.host.vfs[1])?;
    let answers = Answers::start(fixture.vm.device()?)?;
    let resource = File::options()
        .read(true)
        .write(true)
        .open(fixture.host.pf.path("resource2"))?;
    Mapping::new(&resource, 0, PF_BAR2_SIZE)
        .context("mapping the PF's BAR2")?
        .write32(PF_BLOCK + ABNORMAL_INT_SET, MEMORY_ERROR);
    if state == State::Running {
        // Two resets at a time are more than the hardware can bear, so that of the VF waits.
        eventually("the PF is being reset", PATIENCE, || Ok(answers.asked()))?;
        let vf = fixture.host.vfs[0].clone();
        let task = Task::start(move || vf.reset())?;
        done("the reset of the VF", PATIENCE, &task)?.context("resetting the VF")?;
        ensure!(
            !memory_enabled(fixture)?,
            "the VF was reset while the PF was"
        );
    }
    eventually("the reset of the PF has failed", PATIENCE, || {
        Ok(!memory_enabled(fixture)?)
    })?;
    drop(answers);
    drop(other_vf);

    let device = fixture.vm.device()?;
    equal("state after the failure", device.state()?, state)?;
    // Nothing can be done to the hardware, and that is what the user gets to know.
    if state == State::Running {
        refused("STOP", device.set_state(State::Stop), Errno::IO)?;
        if fixture.host.driver.is_rust() {
            // The registers do not answer, and were not asked.
            let attr = debugfs::device(fixture.host.vfs[0].name()).join("migration/hisi_acc/attr");
            let attr = debugfs::content(&attr)?;
            let told =
                |line: &str| line.starts_with("failure: ") && line.ends_with("registers=unknown");
            ensure!(attr.lines().any(told), "attr is {attr}");
        }
    }
    if let (Some(file), State::StopCopy) = (&file, state) {
        file.read_available(4096).context("what was saved before")?;
    }
    if state == State::Resuming {
        ensure!(
            device.set_state(State::Stop).is_err(),
            "a stream was loaded into nothing"
        );
    }
    fixture.close()
}

pub(super) fn bus_error(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 2)?;
    for state in STATES {
        let name = format!("an error on the bus that is not fatal, in {state}");
        let passed = report.point(&name, || {
            let file = go_to(&mut fixture, state)?;
            let device = fixture.vm.device()?;
            let error = device.signal_of(ERROR)?;
            ZIP0.bus_error("COMP_TIME")?;
            eventually("the user is told", PATIENCE, || error.take())?;
            equal("state after it", device.state()?, state)?;
            drop(file);
            if state == State::Running {
                fixture.vm.work(8)?;
            }
            fixture.close()?;
            fixture.migrates().context("afterwards")
        });
        ensure!(passed, "the host is not what it was");
    }
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}

/// A VF whose PF is lost, by its state at that time.
struct RemovedVf {
    vm: Vm,
    state: State,
    file: Option<DataFile>,
    error: Signal,
}

impl RemovedVf {
    /// A VM at work on `vf`, which is then brought to `state`.
    fn new(fixture: &Fixture, vf: &Function, state: State, stream: &[u8]) -> Result<Self> {
        let mut vm = ZIP.vm(1)?;
        let device = vm.open(fixture.host.kind, vf)?;
        vm.attach(device);
        vm.bring_up()?;
        let device = vm.device()?;
        Ok(RemovedVf {
            file: enter(device, state, stream)?,
            error: device.signal_of(ERROR)?,
            state,
            vm,
        })
    }

    /// The user learns it, and nothing can be done with the hardware; what was saved, he has.
    fn loses(&self, is_rust: bool) -> Result<()> {
        eventually("the user is told", PATIENCE, || self.error.take())?;
        let device = self.vm.device()?;
        equal("state after it", device.state()?, self.state)?;
        if let (Some(file), State::PreCopy | State::StopCopy) = (&self.file, self.state) {
            let length = file.read_available(4096)?.len();
            ensure!(length >= 40, "{length} bytes of what was saved before");
        }
        match self.state {
            State::PreCopy => refused("STOP_COPY", device.set_state(State::StopCopy), Errno::IO),
            State::StopCopy => Ok(()),
            // The C driver waits for the mailbox first, which reads as busy forever.
            State::Resuming if !is_rust => {
                refused("STOP", device.set_state(State::Stop), Errno::TIMEDOUT)
            }
            _ => refused("STOP", device.set_state(State::Stop), Errno::IO),
        }
    }
}

/// The kernel resets all that is below the port, and leaves it to the drivers to make it what it
/// was. That of the PF does not: PF and VFs do not answer until they are found anew.
pub(super) fn fatal_bus_error(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 4)?;
    report.point("a fatal error on the bus", || {
        let stream = fixture.full_stream()?;
        let removed_vfs = (fixture.host.vfs.iter().zip(STATES))
            .map(|(vf, state)| RemovedVf::new(&fixture, vf, state, &stream).context(state))
            .collect::<Result<Vec<_>>>()?;
        ZIP0.bus_error("MALF_TLP")?;
        eventually("the bus has been reset", PATIENCE, || {
            Ok(!memory_enabled(&fixture)?)
        })?;
        let is_rust = fixture.host.driver.is_rust();
        removed_vfs
            .iter()
            .try_for_each(|removed_vf| removed_vf.loses(is_rust).context(removed_vf.state))
    });
    report.point("the PF is found anew", || {
        fixture.find_anew()?;
        fixture.migrates()
    });
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}
