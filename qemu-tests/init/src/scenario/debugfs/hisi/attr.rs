// SPDX-License-Identifier: GPL-2.0

//! `attr`: what the device is and does.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use linux::sysfs::{self, Function};
use rustix::io::Errno;
use vfio_client::State;
use vm::engine::{Accelerator, HPRE, SEC};

use super::Fixture;
use super::files::Files;
use crate::expect::{equal, eventually};
use crate::host::{self, HUAWEI, Host};
use crate::modules::Modules;

const OTHER_ENGINES: [&Accelerator; 2] = [&SEC, &HPRE];

pub(super) fn of_the_device(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    fixture.files().attributes_are(&[
        ("engine", "zip"),
        ("function", "1"),
        ("isolation", "0"),
        ("driver ready", "yes"),
        ("device state", "RUNNING"),
        ("data valid", "no"),
        ("data size", "0"),
        ("session", "none"),
        ("source", "none"),
        ("refused", "none"),
    ])?;
    fixture.files().does("save")?;
    fixture.files().attributes_are(&[
        ("data valid", "yes"),
        ("data size", "176"),
        ("source", "debugfs"),
        ("refused", "none"),
    ])?;
    let session = fixture.files().value("session")?;
    ensure!(session.ends_with(" save"), "session is {session:?}");
    let file = fixture.vm.device()?.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    for (key, offset) in [("queue count", 8), ("queue base", 20)] {
        let sent = u32::from_le_bytes(stream[offset..offset + 4].try_into()?);
        fixture
            .files()
            .attributes_are(&[(key, &sent.to_string())])?;
    }
    fixture.vm.device()?.set_state(State::Stop)?;
    fixture
        .files()
        .attributes_are(&[("device state", "STOP")])?;
    fixture.close()?;
    fixture.files().attributes_are(&[
        ("queue base", "unknown"),
        ("queue count", "unknown"),
        ("isolation", "unknown"),
        ("driver ready", "unknown"),
        ("device state", "closed"),
        ("data size", "176"),
    ])?;
    let device = fixture.open()?;
    fixture.files().attributes_are(&[("driver ready", "no")])?;
    drop(device);
    Ok(())
}

/// A device that sleeps is neither woken up nor accessed.
pub(super) fn asleep(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    device.allow_low_power()?;
    let status = fixture.host.vfs[0].path("power/runtime_status");
    eventually("the device sleeps", Duration::from_secs(120), || {
        Ok(sysfs::read(&status)?.trim() == "suspended")
    })?;
    fixture
        .files()
        .attributes_are(&[("driver ready", "unknown"), ("device state", "RUNNING")])?;
    for name in ["dev_data", "cmd_state"] {
        fixture.files().unreadable(name, Errno::BUSY)?;
    }
    for command in ["save", "io_test"] {
        fixture.files().refuses(command, Errno::BUSY)?;
    }
    equal("the device", sysfs::read(&status)?.trim(), "suspended")
}

/// The second VF of the PF is another function, with queues of its own.
pub(super) fn of_the_second_vf(fixture: &mut Fixture) -> Result<()> {
    let queues = |files: &Files| -> Result<Range<u32>> {
        let base = files.value("queue base")?.parse().context("queue base")?;
        let count: u32 = files.value("queue count")?.parse().context("queue count")?;
        Ok(base..base + count)
    };
    let first = fixture.open()?;
    let second = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    let files = Files::of(&fixture.host.vfs[1]);
    files.attributes_are(&[("function", "2")])?;
    let (one, other) = (queues(&fixture.files())?, queues(&files)?);
    ensure!(
        one.end <= other.start || other.end <= one.start,
        "VF1 has the queues {one:?}, VF2 {other:?}"
    );
    drop((first, second));
    Ok(())
}

/// Whether the machine has more accelerators than the ZIP.
pub(super) fn has_other_engines() -> bool {
    OTHER_ENGINES
        .iter()
        .all(|accelerator| Function::find(HUAWEI, accelerator.pf).is_ok())
}

/// The other engines say so, and what they match is theirs.
pub(super) fn of_other_engines(fixture: &Fixture, modules: &Modules) -> Result<()> {
    for accelerator in OTHER_ENGINES {
        let (engine, vf) = (accelerator.name(), accelerator.vf);
        let pf = host::load(modules, accelerator, "").context(engine)?;
        pf.enable_vfs(1, false)?;
        let function = pf.virtual_function(0)?;
        function.bind(&Host::name_of(host::Driver::Rust)?)?;
        let files = Files::of(&function);
        let device = fixture.vm.open(fixture.host.kind, &function)?;
        files.attributes_are(&[("engine", engine), ("device state", "RUNNING")])?;
        let text = files.read("match")?;
        ensure!(
            text.contains(&format!("\ndevice: {vf:#x}\n")),
            "match of {engine} is {text:?}"
        );
        drop(device);
        function.unbind()?;
    }
    Ok(())
}
