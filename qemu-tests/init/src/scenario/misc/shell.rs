// SPDX-License-Identifier: GPL-2.0

//! Everything loaded, two VFs bound, and a prompt on the console.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use protocol::Setup;
use vm::engine::ZIP;

use crate::host::Host;

pub(crate) fn run(setup: &Setup) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    println!("PF {}, bound to hisi_zip", host.pf);
    for vf in &host.vfs {
        println!("VF {vf}, bound to {}", host.driver_name()?);
    }
    // Without an open device there is nothing to step through `debug`.
    let mut vm = ZIP.vm(1)?;
    let device = vm.open(host.kind, &host.vfs[0])?;
    vm.attach(device);
    vm.bring_up()?;
    vm.submit(16)?;
    vm.finish()?;
    println!("a VM has {} open and has done some work on it", host.vfs[0]);
    println!("debugfs: /sys/kernel/debug/vfio; `exit` powers off");
    control::doing("the shell");
    // A session of its own with the console as its terminal, so that ^C works.
    let shell = "/bin/busybox --install -s /bin; cd /; exec setsid -c sh -i";
    let status = Command::new("/bin/busybox")
        .args([
            "sh",
            "-c",
            &format!("{shell} </dev/ttyAMA0 >/dev/ttyAMA0 2>&1"),
        ])
        .env("PATH", "/bin")
        .env("TERM", "vt102")
        .env("HOME", "/")
        .status()
        .context("cannot start /bin/busybox")?;
    ensure!(status.code().is_some(), "the shell was killed: {status}");
    Ok(())
}
