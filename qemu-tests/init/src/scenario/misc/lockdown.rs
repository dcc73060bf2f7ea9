// SPDX-License-Identifier: GPL-2.0

//! A host under kernel lockdown, which distributions turn on where Secure Boot is on.

use std::fs::{self, OpenOptions};
use std::io::Write;

use anyhow::{Context, Result, ensure};
use control::Report;
use linux::sysfs;
use protocol::Setup;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use vfio_client::State;

use crate::expect::equal;
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;

const SECURITYFS: &str = "/sys/kernel/security";

/// The word on the kernel's command line that locks it down from the start.
const FROM_THE_START: &str = "lockdown=integrity";

fn mount_securityfs() -> Result<()> {
    mount(
        "securityfs",
        SECURITYFS,
        "securityfs",
        MountFlags::empty(),
        None,
    )
    .with_context(|| format!("cannot mount {SECURITYFS}"))
}

/// The level that the kernel is locked down to.
fn level() -> Result<String> {
    let levels = sysfs::read(format!("{SECURITYFS}/lockdown"))?;
    let chosen = levels
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    Ok(chosen.with_context(|| levels.clone())?.0.to_owned())
}

/// Turns lockdown on. It ends with the machine.
fn lock_down() -> Result<()> {
    equal("level before", level()?.as_str(), "none")?;
    sysfs::write(format!("{SECURITYFS}/lockdown"), "integrity")
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    mount_securityfs()?;
    let command_line = sysfs::read("/proc/cmdline")?;
    let from_the_start = command_line.split(' ').any(|word| word == FROM_THE_START);
    if from_the_start {
        equal("level", level()?.as_str(), "integrity")?;
    }
    let mut fixture = Fixture::new(setup, 1)?;
    if !from_the_start {
        lock_down()?;
    }
    equal("level", level()?.as_str(), "integrity")?;
    report.point("debug can be neither read nor written", || {
        refuses_debug(&fixture)
    });
    report.point("the other files can be read", || reads_others(&fixture));
    report.point("the VF migrates", || migrates(&mut fixture));
    Ok(())
}

fn refuses_debug(fixture: &Fixture) -> Result<()> {
    let folder = debugfs::device(fixture.host.vfs[0].name()).join("migration/hisi_acc");
    let debug = folder.join("debug");
    let errno = |error: &std::io::Error| Errno::from_io_error(error);
    let read = debugfs::content(&debug).err();
    equal("read", read.as_ref().and_then(errno), Some(Errno::PERM))?;
    let written = OpenOptions::new()
        .write(true)
        .open(&debug)
        .and_then(|mut file| file.write_all(b"io_test"))
        .err();
    equal("write", written.as_ref().and_then(errno), Some(Errno::PERM))
}

fn reads_others(fixture: &Fixture) -> Result<()> {
    fixture.open()?;
    let mut count = 0;
    for path in debugfs::entries(&debugfs::device(fixture.host.vfs[0].name()))? {
        if !path.is_file() || path.ends_with("debug") {
            continue;
        }
        // Without data a file answers ENODATA or ENODEV, which is an answer too.
        let answer = debugfs::content(&path);
        let errno = answer.as_ref().err().and_then(Errno::from_io_error);
        ensure!(errno != Some(Errno::PERM), "{}: EPERM", path.display());
        count += 1;
    }
    let folder = debugfs::device(fixture.host.vfs[0].name()).join("migration/hisi_acc");
    let entries = fs::read_dir(&folder)?.count();
    ensure!(count >= entries, "only {count} files were read");
    let attr = debugfs::content(&folder.join("attr"))?;
    ensure!(attr.contains("device state: "), "attr is {attr:?}");
    Ok(())
}

fn migrates(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::Resuming)?;
    file.write_chunks(&stream, &[])?;
    device.set_state(State::Stop)?;
    drop(file);
    device.set_state(State::Running)?;
    equal("state", device.state()?, State::Running)
}
