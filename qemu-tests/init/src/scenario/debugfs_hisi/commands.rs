// SPDX-License-Identifier: GPL-2.0

//! `debug`: what the commands do, and when they are refused.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use super::Bench;
use crate::control;
use crate::expect::equal;
use crate::scenario::transfer::STREAM_SIZE;
use crate::vfio::State;

/// All commands, by number and by name.
const COMMANDS: [&str; 8] = ["0", "1", "2", "save", "resume", "io_test", "stop", "start"];
/// Those that change the device.
const MUTATING: [&str; 4] = ["save", "resume", "stop", "start"];
/// Texts that are no command.
const UNKNOWN: [&str; 6] = ["3", "-1", "save1", "Save", "io test", "\u{0}"];
const SLOW: Duration = Duration::from_millis(50);
const FAST: Duration = Duration::from_micros(20);

/// What the last command and its result were, by what `debug` says.
fn told(bench: &Bench, command: &str, result: &str) -> Result<()> {
    let answer = bench.files().read("debug")?;
    let start = format!("command: {command}\nresult: {result}\nduration_us: ");
    ensure!(
        answer.starts_with(&start),
        "expected {start:?}, debug says:\n{answer}"
    );
    Ok(())
}

pub(super) fn unopened(bench: &mut Bench) -> Result<()> {
    bench.files().no_data()?;
    equal(
        "debug before any command",
        bench.files().read("debug")?.as_str(),
        "command: none\ncommands: 0/save 1/resume 2/io_test stop start\n",
    )?;
    for command in COMMANDS {
        bench.files().refuses(command, Errno::NODEV)?;
    }
    told(bench, "start", "ENODEV")
}

pub(super) fn io_test(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    for command in ["2", "io_test"] {
        bench.files().does(command)?;
        told(bench, "io_test", "OK")?;
    }
    bench.files().no_data()?;
    bench.vm.work(16)
}

/// Runs commands while requests are in flight; all must complete, once.
fn under_work(bench: &mut Bench, commands: &[&str]) -> Result<()> {
    control::set_latency(SLOW)?;
    bench.vm.submit_at_once(32)?;
    let result = commands
        .iter()
        .try_for_each(|command| bench.files().does(command));
    control::set_latency(FAST)?;
    result?;
    bench.vm.finish()?;
    bench.vm.work(16)
}

pub(super) fn save_and_resume(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    bench.files().refuses("1", Errno::NODATA)?;
    told(bench, "resume", "ENODATA")?;
    for command in ["0", "save"] {
        under_work(bench, &[command])?;
        told(bench, "save", "OK")?;
        equal(
            "state after save",
            bench.vm.device()?.state()?,
            State::Running,
        )?;
        let data = bench.files().read("data")?;
        let last = data.lines().last().unwrap_or_default();
        ensure!(
            last.ends_with(&format!(": {STREAM_SIZE}")),
            "data ends with {last:?}"
        );
    }
    for command in ["1", "resume"] {
        // The snapshot is of a device at rest, and so is the device it is loaded into: requests
        // since the snapshot would be forgotten.
        bench.files().does("save")?;
        bench.files().does(command)?;
        told(bench, "resume", "OK")?;
        equal(
            "state after resume",
            bench.vm.device()?.state()?,
            State::Running,
        )?;
        bench.vm.work(32)?;
    }
    Ok(())
}

pub(super) fn stop_and_start(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    let state = |bench: &Bench| bench.vm.device()?.state().context("reading the state");
    bench.files().does("stop")?;
    told(bench, "stop", "OK")?;
    equal("state after stop", state(bench)?, State::Stop)?;
    // The VM still runs, and its driver may use the mailbox.
    equal("commands by io_test", commands_of_io_test(bench)?, 0)?;
    bench.files().does("start")?;
    told(bench, "start", "OK")?;
    equal("state after start", state(bench)?, State::Running)?;
    under_work(bench, &["stop", "start"])
}

/// How many mailbox commands `io_test` gives.
fn commands_of_io_test(bench: &Bench) -> Result<u64> {
    let count = || -> Result<u64> {
        let counters = control::get("counters")?;
        let count = counters["fn1"]["mailbox"]["sqc-vft"].as_u64();
        Ok(count.unwrap_or(0))
    };
    let before = count()?;
    bench.files().does("io_test")?;
    Ok(count()? - before)
}

/// Where the device's user has stopped it, the VM does not run, and the mailbox is free.
pub(super) fn io_test_of_a_stopped_vm(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    bench.vm.device()?.set_state(State::Stop)?;
    equal("commands by io_test", commands_of_io_test(bench)?, 1)?;
    bench.vm.device()?.set_state(State::Running)?;
    equal("commands, running", commands_of_io_test(bench)?, 0)?;
    bench.vm.work(16)
}

/// A snapshot of before a reset has addresses of memory that the VM may use for something else.
pub(super) fn resume_after_a_reset(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    bench.files().does("save")?;
    bench.files().attributes_are(&[("outdated", "no")])?;
    bench.vm.device()?.reset()?;
    bench.vm.start_over()?;
    bench.files().attributes_are(&[("outdated", "yes")])?;
    bench.files().refuses("resume", Errno::NODATA)?;
    // What is there can still be read.
    bench.files().read("data")?;
    bench.vm.work(16)?;
    bench.files().does("save")?;
    bench.files().attributes_are(&[("outdated", "no")])?;
    bench.files().does("resume")?;
    bench.vm.work(16)
}

pub(super) fn unknown(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    bench.files().does("io_test")?;
    for text in UNKNOWN {
        bench.files().refuses(text, Errno::INVAL)?;
    }
    bench.files().refuses(&"9".repeat(5000), Errno::INVAL)?;
    told(bench, "io_test", "OK")?;
    bench.files().no_data()?;
    bench.vm.work(16)
}

/// Every errno that a command can fail with, and what is left of the device.
pub(super) fn failures(bench: &mut Bench) -> Result<()> {
    for (fault, errno, name, ends_in) in [
        ("fn1:mailbox-status=3", Errno::IO, "EIO", State::Running),
        ("fn1:vf-busy", Errno::BUSY, "EBUSY", State::Running),
        ("fn1:wb-never", Errno::TIMEDOUT, "ETIMEDOUT", State::Error),
    ] {
        bench.work()?;
        control::set("fault", fault)?;
        let result = bench.files().refuses("stop", errno);
        control::set("fault", "")?;
        result.with_context(|| format!("with {fault}"))?;
        told(bench, "stop", name)?;
        equal("state", bench.vm.device()?.state()?, ends_in)?;
        if ends_in == State::Error {
            bench.files().refuses("start", Errno::IO)?;
            bench.vm.device()?.reset()?;
            bench.vm.start_over()?;
        }
        bench.vm.work(16)?;
        bench.close()?;
    }
    // A load that fails in the middle leaves nothing to go on from.
    bench.work()?;
    bench.files().does("save")?;
    control::set("fault", "fn1:mailbox-status=3@cqc-bt")?;
    let result = bench.files().refuses("resume", Errno::IO);
    control::set("fault", "")?;
    result?;
    equal("state", bench.vm.device()?.state()?, State::Error)?;
    bench.vm.device()?.reset()?;
    bench.vm.start_over()?;
    // Data that are not complete are not loaded, and the device is not even stopped.
    drop(bench.vm.device()?.set_state_with_file(State::PreCopy)?);
    bench.vm.device()?.set_state(State::Running)?;
    bench.files().refuses("resume", Errno::INVAL)?;
    told(bench, "resume", "EINVAL")?;
    bench.vm.work(16)
}

pub(super) fn busy(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    bench.vm.device()?.set_state(State::RunningP2p)?;
    bench.files().refuses("save", Errno::BUSY)?;
    bench.vm.device()?.set_state(State::Running)?;
    for state in [State::PreCopy, State::StopCopy, State::Resuming] {
        let file = bench.vm.device()?.set_state_with_file(state)?;
        for command in COMMANDS {
            bench
                .files()
                .refuses(command, Errno::BUSY)
                .with_context(|| format!("in {state}"))?;
        }
        equal(
            "state after the refusals",
            bench.vm.device()?.state()?,
            state,
        )?;
        if state == State::Resuming {
            bench.vm.device()?.reset()?;
        } else {
            ensure!(
                !file.read_available(4096)?.is_empty(),
                "the session has no data"
            );
            bench.vm.device()?.set_state(State::Running)?;
        }
    }
    Ok(())
}

/// A driver that was built without the commands that change something has the rest.
pub(super) fn not_offered(bench: &mut Bench) -> Result<()> {
    bench.work()?;
    for command in MUTATING.iter().chain(&["0", "1"]) {
        bench.files().refuses(command, Errno::PERM)?;
    }
    bench.files().refuses("3", Errno::INVAL)?;
    bench.files().does("2")?;
    told(bench, "io_test", "OK")?;
    let answer = bench.files().read("debug")?;
    ensure!(
        answer.ends_with("\ncommands: 2/io_test\n"),
        "debug says:\n{answer}"
    );
    bench
        .files()
        .attributes_are(&[("device state", "RUNNING")])?;
    bench.files().no_data()
}
