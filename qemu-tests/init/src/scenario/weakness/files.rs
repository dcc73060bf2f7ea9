// SPDX-License-Identifier: GPL-2.0

//! Weaknesses of the files in debugfs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::ZIP0;
use linux::sysfs;
use rustix::io::Errno;
use vfio_client::State;
use vm::qm::registers::{self, Command};

use super::Seen;
use super::fixture::all_commands;
use crate::expect::{errno, eventually, refused};
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::stuck_thread::{Fate, Task};

/// A thread that was so long in the kernel does not come back: 3 seconds of a hundred ticks.
const SPINS: u64 = 300;

/// Dumps that are looked at while sessions end. A session seldom ends in the middle of one, which
/// is waited for where it has to happen.
const READS_C: usize = 100_000;
const READS_RUST: usize = 2000;

pub(super) fn read_at_offset(fixture: &mut Fixture) -> Result<Seen> {
    fixture.rebind()?;
    let file = File::open(fixture.file("migration/hisi_acc/migf_data"))?;
    let task = Task::start(move || file.read_at(&mut [0; 16], 1))?;
    match task.wait(Duration::from_secs(60), |task| task.ticks() >= SPINS) {
        Fate::Done(result) => {
            refused("reading migf_data at an offset", result, Errno::NODATA)?;
            Ok(Seen::Sound("the read fails with ENODATA".into()))
        }
        Fate::StuckInKernel if task.ticks() >= SPINS => Ok(Seen::Broken(format!(
            "the read spins in the kernel, {} ticks so far",
            task.ticks()
        ))),
        _ => bail!("the read neither ended nor spins"),
    }
}

pub(super) fn sleeping_device(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    fixture.vm.device()?.allow_low_power()?;
    let status = fixture.host.vfs[0].path("power/runtime_status");
    eventually("the device sleeps", Duration::from_secs(120), || {
        Ok(sysfs::read(&status)?.trim() == "suspended")
    })?;
    let before = all_commands()?;
    let result = fixture.debug("dev_data");
    let given = all_commands()? - before;
    let asleep = sysfs::read(&status)?.trim() == "suspended";
    ensure!(asleep, "the read woke the device up");
    if given > 0 {
        return Ok(Seen::Weak(format!(
            "dev_data gives {given} commands to a device that is suspended"
        )));
    }
    refused("reading dev_data", result, Errno::BUSY)?;
    Ok(Seen::Sound("dev_data fails with EBUSY".into()))
}

pub(super) fn reason_of_failure(fixture: &mut Fixture) -> Result<Seen> {
    fixture.rebind()?;
    let mut errors = Vec::new();
    for name in ["dev_data", "migf_data"] {
        let error = fixture.debug(name).err();
        let error = error.with_context(|| format!("{name} of a closed device has content"))?;
        errors.push(errno(&error).with_context(|| format!("{name}: {error}"))?);
    }
    match errors[..] {
        [Errno::INVAL, Errno::AGAIN] => Ok(Seen::Weak(
            "dev_data of a closed device: EINVAL, migf_data: EAGAIN, and no text".into(),
        )),
        [Errno::NODEV, Errno::NODATA] => Ok(Seen::Sound(
            "dev_data of a closed device: ENODEV, migf_data: ENODATA".into(),
        )),
        _ => bail!("dev_data and migf_data of a closed device: {errors:?}"),
    }
}

pub(super) fn dev_data_uses_mailbox(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let before = all_commands()?;
    fixture.debug("dev_data").context("reading dev_data")?;
    let given = all_commands()? - before;
    Ok(if given > 0 {
        Seen::Weak(format!(
            "reading dev_data gives {given} commands to the mailbox of a running guest"
        ))
    } else {
        Seen::Sound("reading dev_data gives no command".into())
    })
}

/// The state of the guest's driver in dev_data.
fn driver_load(fixture: &Fixture) -> Result<u32> {
    let text = fixture.debug("dev_data").context("reading dev_data")?;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("guest driver load: "));
    value
        .context("dev_data has no line of the guest's driver")?
        .parse()
        .context("guest driver load is no number")
}

pub(super) fn stale_driver_state(fixture: &mut Fixture) -> Result<Seen> {
    fixture.rebind()?;
    fixture.work()?;
    let before = driver_load(fixture)?;
    let device = fixture.vm.device()?;
    device.set_state_with_file(State::StopCopy)?;
    device.set_state(State::Running)?;
    let after = driver_load(fixture)?;
    match (before, after) {
        (1, 0) => Ok(Seen::Weak(
            "guest driver load is 1 before the first migration and 0 after it, with the driver \
             there all the time"
                .into(),
        )),
        (1, 1) => Ok(Seen::Sound("guest driver load is 1 both times".into())),
        other => bail!("guest driver load before and after a migration: {other:?}"),
    }
}

pub(super) fn data_of_last_owner(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    device.set_state_with_file(State::StopCopy)?;
    device.set_state(State::Running)?;
    let data = fixture.debug("migf_data").context("after a migration")?;
    fixture.close()?;
    let _next_owner = fixture.open()?;
    match fixture.debug("migf_data") {
        Ok(shown) => {
            ensure!(shown == data, "migf_data has other data");
            Ok(Seen::Weak(
                "the next owner's migf_data shows the last owner's data".into(),
            ))
        }
        Err(error) => {
            refused::<()>("migf_data", Err(error), Errno::NODATA)?;
            Ok(Seen::Sound("the next owner's migf_data has no data".into()))
        }
    }
}

/// A dump of migf_data: whether it has what follows the match data, and how long it says it is.
fn dump(text: &str) -> Result<(bool, usize)> {
    let mut lines = text.lines();
    // The registers of the event queue, never all 0 with a driver.
    let registers = lines.find_map(|line| line.strip_prefix("Mig Data:00000040: "));
    let registers = registers.with_context(|| format!("no line 0x40 in {text:?}"))?;
    let length = lines.find_map(|line| line.strip_prefix("migrate data length: "));
    let length = length.with_context(|| format!("no length in {text:?}"))?;
    let full = registers.split_whitespace().any(|byte| byte != "00");
    Ok((full, length.parse().context("the length is no number")?))
}

/// Sessions of 40 and of 176 bytes end in turn while a thread reads the dump.
pub(super) fn torn_dump(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    let path = fixture.file("migration/hisi_acc/migf_data");
    drop(device.set_state_with_file(State::PreCopy)?);
    device.set_state(State::Running)?;
    let reads = if fixture.host.driver.is_rust() {
        READS_RUST
    } else {
        READS_C
    };
    let over = AtomicBool::new(false);
    let mut sessions = 0;
    let read_on = || -> Result<Option<(bool, usize)>> {
        let mut torn = None;
        for _ in 0..reads {
            let found = dump(&debugfs::content(&path).context("reading migf_data")?)?;
            if found != (true, STREAM_SIZE) && found != (false, MATCH_SIZE) {
                torn = Some(found);
                break;
            }
        }
        Ok(torn)
    };
    let torn = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let torn = read_on();
            over.store(true, Ordering::Relaxed);
            torn
        });
        while !over.load(Ordering::Relaxed) {
            for state in [State::StopCopy, State::PreCopy] {
                drop(device.set_state_with_file(state)?);
                device.set_state(State::Running)?;
                sessions += 1;
            }
        }
        match reader.join() {
            Ok(torn) => torn,
            Err(_) => bail!("the reader panicked"),
        }
    })?;
    Ok(match torn {
        Some((full, length)) => Seen::Weak(format!(
            "the length is {length}, and the data are those of {} bytes",
            if full { STREAM_SIZE } else { MATCH_SIZE }
        )),
        None => Seen::Sound(format!(
            "{reads} dumps of {sessions} sessions are each of one"
        )),
    })
}

pub(super) fn dump_without_match_data(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let text = fixture.debug("dev_data").context("reading dev_data")?;
    let first = text.lines().next().context("dev_data is empty")?;
    let bytes = first.strip_prefix("Dev Data:00000000: ");
    let bytes = bytes.with_context(|| format!("dev_data begins with {first:?}"))?;
    Ok(if bytes.split_whitespace().all(|byte| byte == "00") {
        Seen::Weak("the magic and the device in dev_data are 0".into())
    } else {
        let magic = bytes.starts_with("de de ca de ed fe cc aa ");
        ensure!(magic, "dev_data begins with {first:?}");
        Seen::Sound("dev_data begins with the magic".into())
    })
}

pub(super) fn busy_mailbox(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    ZIP0.set("fault", "fn1:mailbox-timeout@stop-qp")?;
    let registers = fixture.vm.device()?.registers()?;
    registers::mailbox_start(registers, registers::start_word(Command::StopQueue), 0, 0);
    let result = fixture.debug("cmd_state");
    ZIP0.set("fault", "")?;
    registers::mailbox_wait(registers)?;
    match result {
        Ok(text) => {
            ensure!(text.contains(" ready!"), "cmd_state says {text:?}");
            Ok(Seen::Weak(
                "cmd_state says ready while the mailbox is busy".into(),
            ))
        }
        Err(error) => {
            refused::<()>("cmd_state", Err(error), Errno::BUSY)?;
            Ok(Seen::Sound("cmd_state fails with EBUSY".into()))
        }
    }
}
