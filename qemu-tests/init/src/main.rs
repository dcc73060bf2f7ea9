// SPDX-License-Identifier: GPL-2.0

//! init of the emulated host.
//!
//! Mounts what a host has, reads from the kernel command line which scenario to run, runs it,
//! reports on the control port and powers the machine off. The VM of most scenarios is not a real
//! one: the crate [`vm`] holds its memory and does what its driver does.

#![forbid(unsafe_code)]

mod crypto_check;
mod expect;
mod fail_nth;
mod host;
mod leaks;
mod modules;
mod other_host;
mod scenario;

use std::fs;

use anyhow::{Context, Result};
use linux::{sysfs, timeouts};
use protocol::Task;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

fn mount_all() -> Result<()> {
    for (kind, target) in [
        ("devtmpfs", "/dev"),
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("tmpfs", "/tmp"),
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", sysfs::TRACING),
    ] {
        // The mount points under /sys exist by then, and one that exists is as good as a new one.
        let _ = fs::create_dir_all(target);
        mount(kind, target, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {kind} on {target}"))?;
    }
    Ok(())
}

fn run() -> Result<()> {
    let line = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    timeouts::take_over(&line)?;
    let task: Task = line.parse()?;
    scenario::run(&task)
}

fn power_off() -> ! {
    rustix::fs::sync();
    let result = reboot(RebootCommand::PowerOff);
    // A machine without power off: the kernel stops it when init ends, and the host sees both.
    panic!("the machine does not power off: {result:?}");
}

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        control::last_words(panic.to_string().replace('\n', ": "));
        let _ = reboot(RebootCommand::PowerOff);
    }));
    // Until these are done there is nowhere to report to but the console.
    if let Err(error) = mount_all().and_then(|()| control::open()) {
        eprintln!("guest: {error:#}");
        power_off();
    }
    if let Err(error) = run() {
        eprintln!("guest: {error:#}");
        control::bail_out(format_args!("{error:#}"));
    }
    control::end();
    power_off();
}
