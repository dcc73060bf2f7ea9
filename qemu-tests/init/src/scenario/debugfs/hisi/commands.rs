// SPDX-License-Identifier: GPL-2.0

//! `debug`: what the commands do, and when they are refused.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use rustix::io::Errno;
use vfio_client::State;

use super::Fixture;
use crate::expect::equal;
use crate::scenario::support::stream_layout::STREAM_SIZE;

/// All commands, by number and by name.
const COMMANDS: [&str; 8] = ["0", "1", "2", "save", "resume", "io_test", "stop", "start"];
/// Those that change the device.
const MUTATING: [&str; 4] = ["save", "resume", "stop", "start"];
/// Texts that are no command.
const UNKNOWN: [&str; 6] = ["3", "-1", "save1", "Save", "io test", "\u{0}"];
const SLOW: Duration = Duration::from_millis(50);
const FAST: Duration = Duration::from_micros(20);

/// The last command and its result, as `debug` shows them.
fn told(fixture: &Fixture, command: &str, result: &str) -> Result<()> {
    let answer = fixture.files().read("debug")?;
    let start = format!("command: {command}\nresult: {result}\nduration_us: ");
    ensure!(
        answer.starts_with(&start),
        "expected {start:?}, debug says:\n{answer}"
    );
    Ok(())
}

pub(super) fn unopened(fixture: &mut Fixture) -> Result<()> {
    fixture.files().no_data()?;
    equal(
        "debug before any command",
        fixture.files().read("debug")?.as_str(),
        "command: none\ncommands: 0/save 1/resume 2/io_test stop start\n",
    )?;
    for command in COMMANDS {
        fixture.files().refuses(command, Errno::NODEV)?;
    }
    told(fixture, "start", "ENODEV")
}

pub(super) fn io_test(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    for command in ["2", "io_test"] {
        fixture.files().does(command)?;
        told(fixture, "io_test", "OK")?;
    }
    fixture.files().no_data()?;
    fixture.vm.work(16)
}

/// Runs commands while requests are in flight; all must complete, once.
fn under_work(fixture: &mut Fixture, commands: &[&str]) -> Result<()> {
    ZIP0.set_latency(SLOW)?;
    fixture.vm.submit_at_once(32)?;
    let result = commands
        .iter()
        .try_for_each(|command| fixture.files().does(command));
    ZIP0.set_latency(FAST)?;
    result?;
    fixture.vm.finish()?;
    fixture.vm.work(16)
}

pub(super) fn save_and_resume(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.files().refuses("1", Errno::NODATA)?;
    told(fixture, "resume", "ENODATA")?;
    for command in ["0", "save"] {
        under_work(fixture, &[command])?;
        told(fixture, "save", "OK")?;
        equal(
            "state after save",
            fixture.vm.device()?.state()?,
            State::Running,
        )?;
        let data = fixture.files().read("data")?;
        let last = data.lines().last().unwrap_or_default();
        ensure!(
            last.ends_with(&format!(": {STREAM_SIZE}")),
            "data ends with {last:?}"
        );
    }
    for command in ["1", "resume"] {
        // The snapshot is of a device at rest, and so is the device it is loaded into: requests
        // since the snapshot would be forgotten.
        fixture.files().does("save")?;
        fixture.files().does(command)?;
        told(fixture, "resume", "OK")?;
        equal(
            "state after resume",
            fixture.vm.device()?.state()?,
            State::Running,
        )?;
        fixture.vm.work(32)?;
    }
    Ok(())
}

pub(super) fn stop_and_start(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let state = |fixture: &Fixture| fixture.vm.device()?.state().context("reading the state");
    fixture.files().does("stop")?;
    told(fixture, "stop", "OK")?;
    equal("state after stop", state(fixture)?, State::Stop)?;
    // The VM still runs, and its driver may use the mailbox.
    equal("commands by io_test", commands_of_io_test(fixture)?, 0)?;
    fixture.files().does("start")?;
    told(fixture, "start", "OK")?;
    equal("state after start", state(fixture)?, State::Running)?;
    under_work(fixture, &["stop", "start"])
}

/// How many mailbox commands `io_test` gives.
fn commands_of_io_test(fixture: &Fixture) -> Result<u64> {
    let count = || -> Result<u64> {
        let counters = ZIP0.get("counters")?;
        let count = counters["fn1"]["mailbox"]["sqc-vft"].as_u64();
        Ok(count.unwrap_or(0))
    };
    let before = count()?;
    fixture.files().does("io_test")?;
    Ok(count()? - before)
}

/// Where the device's user has stopped it, the VM does not run, and the mailbox is free.
pub(super) fn io_test_of_a_stopped_vm(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.vm.device()?.set_state(State::Stop)?;
    equal("commands by io_test", commands_of_io_test(fixture)?, 1)?;
    fixture.vm.device()?.set_state(State::Running)?;
    equal("commands, running", commands_of_io_test(fixture)?, 0)?;
    fixture.vm.work(16)
}

/// A snapshot of before a reset has addresses of memory that the VM may use for something else.
pub(super) fn resume_after_a_reset(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.files().does("save")?;
    fixture.files().attributes_are(&[("outdated", "no")])?;
    fixture.vm.device()?.reset()?;
    fixture.vm.start_over()?;
    fixture.files().attributes_are(&[("outdated", "yes")])?;
    fixture.files().refuses("resume", Errno::NODATA)?;
    // What is there can still be read.
    fixture.files().read("data")?;
    fixture.vm.work(16)?;
    fixture.files().does("save")?;
    fixture.files().attributes_are(&[("outdated", "no")])?;
    fixture.files().does("resume")?;
    fixture.vm.work(16)
}

pub(super) fn unknown(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.files().does("io_test")?;
    for text in UNKNOWN {
        fixture.files().refuses(text, Errno::INVAL)?;
    }
    fixture.files().refuses(&"9".repeat(5000), Errno::INVAL)?;
    told(fixture, "io_test", "OK")?;
    fixture.files().no_data()?;
    fixture.vm.work(16)
}

/// Every errno that a command can fail with, and what is left of the device.
pub(super) fn failures(fixture: &mut Fixture) -> Result<()> {
    for (fault, errno, name, ends_in) in [
        ("fn1:mailbox-status=3", Errno::IO, "EIO", State::Running),
        ("fn1:vf-busy", Errno::BUSY, "EBUSY", State::Running),
        ("fn1:wb-never", Errno::TIMEDOUT, "ETIMEDOUT", State::Error),
    ] {
        fixture.work()?;
        ZIP0.set("fault", fault)?;
        let result = fixture.files().refuses("stop", errno);
        ZIP0.set("fault", "")?;
        result.with_context(|| format!("with {fault}"))?;
        told(fixture, "stop", name)?;
        equal("state", fixture.vm.device()?.state()?, ends_in)?;
        if ends_in == State::Error {
            fixture.files().refuses("start", Errno::IO)?;
            fixture.vm.device()?.reset()?;
            fixture.vm.start_over()?;
        }
        fixture.vm.work(16)?;
        fixture.close()?;
    }
    // A load that fails in the middle leaves nothing to go on from.
    fixture.work()?;
    fixture.files().does("save")?;
    ZIP0.set("fault", "fn1:mailbox-status=3@cqc-bt")?;
    let result = fixture.files().refuses("resume", Errno::IO);
    ZIP0.set("fault", "")?;
    result?;
    equal("state", fixture.vm.device()?.state()?, State::Error)?;
    fixture.vm.device()?.reset()?;
    fixture.vm.start_over()?;
    // Data that are not complete are not loaded, and the device is not even stopped.
    drop(fixture.vm.device()?.set_state_with_file(State::PreCopy)?);
    fixture.vm.device()?.set_state(State::Running)?;
    fixture.files().refuses("resume", Errno::INVAL)?;
    told(fixture, "resume", "EINVAL")?;
    fixture.vm.work(16)
}

pub(super) fn busy(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.vm.device()?.set_state(State::RunningP2p)?;
    fixture.files().refuses("save", Errno::BUSY)?;
    fixture.vm.device()?.set_state(State::Running)?;
    for state in [State::PreCopy, State::StopCopy, State::Resuming] {
        let file = fixture.vm.device()?.set_state_with_file(state)?;
        for command in COMMANDS {
            fixture
                .files()
                .refuses(command, Errno::BUSY)
                .with_context(|| format!("in {state}"))?;
        }
        equal(
            "state after the refusals",
            fixture.vm.device()?.state()?,
            state,
        )?;
        if state == State::Resuming {
            fixture.vm.device()?.reset()?;
        } else {
            ensure!(
                !file.read_available(4096)?.is_empty(),
                "the session has no data"
            );
            fixture.vm.device()?.set_state(State::Running)?;
        }
    }
    Ok(())
}

/// A driver that was built without the commands that change something has the rest.
pub(super) fn not_offered(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    for command in MUTATING.iter().chain(&["0", "1"]) {
        fixture.files().refuses(command, Errno::PERM)?;
    }
    fixture.files().refuses("3", Errno::INVAL)?;
    fixture.files().does("2")?;
    told(fixture, "io_test", "OK")?;
    let answer = fixture.files().read("debug")?;
    ensure!(
        answer.ends_with("\ncommands: 2/io_test\n"),
        "debug says:\n{answer}"
    );
    fixture
        .files()
        .attributes_are(&[("device state", "RUNNING")])?;
    fixture.files().no_data()
}
