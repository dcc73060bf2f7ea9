// SPDX-License-Identifier: GPL-2.0

//! Work runs on one VF, moves to the other one and back, ten times.
//!
//! Requests in flight when the device stops must complete exactly once, with the right bytes, and
//! nothing may touch the VM's memory between the stop and the start on the other side.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::transfer::{self, FAST, Found, Path};
use crate::Options;
use crate::control::{self, Report};
use crate::engine;
use crate::expect;
use crate::host::Host;
use crate::qm::{IOVA, Notice, Vm};

const ROUND_TRIPS: usize = 10;
/// Requests that complete before each stop, a few at a time.
const DONE: usize = 160;
const AT_A_TIME: usize = 16;
/// Requests that are submitted just before the stop.
const IN_FLIGHT: usize = 128;
/// Requests that are submitted in PRE_COPY.
const PRE_COPY: usize = 16;

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let seed = options
        .get("seed")
        .unwrap_or("1")
        .parse()
        .context("seed= is no number")?;
    for accelerator in engine::chosen(options)? {
        let host = Host::with(options, accelerator, 2)?;
        migrate(&host, seed, report).context(accelerator.name)?;
    }
    Ok(())
}

fn migrate(host: &Host, seed: u64, report: &mut Report) -> Result<()> {
    let accelerator = host.accelerator;
    let mut vm = Vm::with(accelerator.engine, IOVA, seed)?;
    report.note(&format!("accelerator: {}", accelerator.name));

    let up = report.point("work on VF1", || {
        let device = vm.open(host.kind, &host.vfs[0])?;
        vm.attach(device);
        vm.bring_up()?;
        work(&mut vm)?;
        vm.verify()
    });
    ensure!(up, "nothing to migrate");

    let mut found = Found::new();
    for trip in 0..ROUND_TRIPS {
        // All four combinations of path and notice come up, each in both directions.
        let path = if trip % 2 == 0 {
            Path::PreCopy
        } else {
            Path::Straight
        };
        let notice = if trip % 4 < 2 {
            Notice::Interrupt
        } else {
            Notice::Polling
        };
        let name = format!("round trip {}: {path:?}, {notice:?}", trip + 1);
        let done = report.point(&name, || {
            vm.notice_by(notice)?;
            move_on(host, &mut vm, 1, path, trip, &mut found).context("VF1 to VF2")?;
            move_on(host, &mut vm, 0, path, trip, &mut found).context("VF2 to VF1")
        });
        if !done {
            break;
        }
    }
    found.report(report);
    transfer::report_requests(&vm, report);
    report.point("the queues stop", || vm.shut_down());
    control::report_violations_of(accelerator.id, report, host.is_clean()?);
    Ok(())
}

fn work(vm: &mut Vm) -> Result<()> {
    (0..DONE / AT_A_TIME).try_for_each(|_| {
        vm.submit(AT_A_TIME)?;
        vm.finish()
    })
}

/// Moves the VM to VF `to` while it works.
fn move_on(
    host: &Host,
    vm: &mut Vm,
    to: usize,
    path: Path,
    trip: usize,
    found: &mut Found,
) -> Result<()> {
    work(vm)?;
    control::set_latency_of(host.accelerator.id, found.slow)?;
    vm.submit_at_once(IN_FLIGHT)?;
    // Some of them complete and are seen before the stop.
    vm.run_until(IN_FLIGHT - 4, Duration::from_secs(30))?;

    let chunk = [4096, 176, 7, 1][trip % 4];
    let stopped = transfer::stop(vm, path, chunk, |vm| vm.submit(PRE_COPY))?;
    found.look(vm);
    if trip < 2 {
        let before = vm.memory().fingerprint();
        std::thread::sleep(4 * found.slow);
        expect::equal(
            "sum of the VM's memory after the stop",
            vm.memory().fingerprint(),
            before,
        )?;
    }
    let waiting = vm.waiting();

    let device = vm.open(host.kind, &host.vfs[to])?;
    expect::equal(
        "requests left after the other VF was opened",
        vm.waiting(),
        waiting,
    )?;
    let chunks: &[usize] = [&[40, 136][..], &[176], &[1], &[39, 2, 100]][trip % 4];
    transfer::load(vm, device, &stopped.stream, chunks)?;
    // The source is closed only now, as on two hosts.
    drop(stopped);
    control::set_latency_of(host.accelerator.id, FAST)?;
    vm.finish()?;
    vm.verify()
}
