// SPDX-License-Identifier: GPL-2.0

//! Work runs on one VF, moves to the other one and back, ten times, by streams in pieces of all
//! sizes.
//!
//! Requests in flight when the device stops must complete exactly once, with the right bytes, and
//! nothing may touch the VM's memory between the stop and the start on the other side.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report};
use fastrand::Rng;
use protocol::Setup;
use vm::engine;
use vm::qm::{IOVA, Notice, Vm};

use crate::expect;
use crate::host::Host;
use crate::scenario::support::transfer::{self, ChunkSizes, FAST, Found, Path};

const ROUND_TRIPS: usize = 10;
/// Requests that complete before each stop, a few at a time.
const DONE: usize = 160;
const AT_A_TIME: usize = 16;
/// Requests that are submitted just before the stop.
const IN_FLIGHT: usize = 128;
/// Requests that are submitted in PRE_COPY.
const PRE_COPY: usize = 16;

pub(crate) fn run(setup: &Setup, seed: u64, report: &mut Report) -> Result<()> {
    for accelerator in engine::chosen(setup) {
        let host = Host::with(setup, accelerator, 2)?;
        migrate(&host, seed, report).context(accelerator.name())?;
    }
    Ok(())
}

fn migrate(host: &Host, seed: u64, report: &mut Report) -> Result<()> {
    let accelerator = host.accelerator;
    let mut fixture = Fixture {
        host,
        vm: Vm::with(accelerator.engine, IOVA, seed)?,
        random: Rng::with_seed(seed),
        found: Found::new(),
    };
    control::note(format!("accelerator: {}", accelerator.name()));

    let up = report.point("without a driver, then work on VF1", || {
        let mut device = fixture.vm.open(host.kind, &host.vfs[0])?;
        device.enable()?;
        fixture.vm.attach(device);
        fixture.move_idle().context("without a driver")?;
        fixture.vm.bring_up()?;
        work(&mut fixture.vm)?;
        fixture.vm.verify()
    });
    ensure!(up, "nothing to migrate");

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
            fixture.vm.notice_by(notice)?;
            fixture.move_on(1, path, trip).context("VF1 to VF2")?;
            fixture.move_on(0, path, trip).context("VF2 to VF1")
        });
        if !done {
            break;
        }
    }
    fixture.found.report(report);
    transfer::report_requests(&fixture.vm, report);
    report.point("the queues stop", || fixture.vm.shut_down());
    EmulatedDevice(accelerator.id).report_violations(report, host.is_clean()?);
    Ok(())
}

fn work(vm: &mut Vm) -> Result<()> {
    (0..DONE / AT_A_TIME).try_for_each(|_| {
        vm.submit(AT_A_TIME)?;
        vm.finish()
    })
}

struct Fixture<'h> {
    host: &'h Host,
    vm: Vm,
    random: Rng,
    found: Found,
}

impl Fixture<'_> {
    /// Moves the VM, whose driver is not there yet, to VF2 and back.
    fn move_idle(&mut self) -> Result<()> {
        for (to, path) in [(1, Path::PreCopy), (0, Path::Straight)] {
            let chunks = ChunkSizes::random(&mut self.random);
            let stopped = transfer::stop(&mut self.vm, path, chunks.read, |_| Ok(()))?;
            let device = self.vm.open(self.host.kind, &self.host.vfs[to])?;
            let stream = chunks.pass(&stopped.stream);
            transfer::load(&mut self.vm, device, &stream, &chunks.writes)?;
        }
        Ok(())
    }

    /// How the stream is handed over on this trip: by rule first, later by chance. The last two
    /// are of version 1, which is as old as hardware with its registers in the VF.
    fn chunks(&mut self, trip: usize) -> Result<ChunkSizes> {
        Ok(match ChunkSizes::EDGES.len() {
            edges if trip < edges => ChunkSizes::edge(trip),
            _ => ChunkSizes {
                version_1: trip + 2 >= ROUND_TRIPS && self.host.hides_half_of_bar2()?,
                ..ChunkSizes::random(&mut self.random)
            },
        })
    }

    /// Moves the VM to VF `to` while it works.
    fn move_on(&mut self, to: usize, path: Path, trip: usize) -> Result<()> {
        let chunks = self.chunks(trip)?;
        let Fixture {
            host, vm, found, ..
        } = self;
        let accelerator = host.accelerator;
        work(vm)?;
        EmulatedDevice(accelerator.id).set_latency(found.slow)?;
        vm.submit_at_once(IN_FLIGHT)?;
        // Some of them complete and are seen before the stop.
        vm.run_until(IN_FLIGHT - 4, Duration::from_secs(120))?;

        let stopped = transfer::stop(vm, path, chunks.read, |vm| vm.submit(PRE_COPY))?;
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
        let stream = chunks.pass(&stopped.stream);
        transfer::load(vm, device, &stream, &chunks.writes)
            .with_context(|| format!("{chunks:?}"))?;
        // The source is closed only now, as on two hosts.
        drop(stopped);
        EmulatedDevice(accelerator.id).set_latency(FAST)?;
        vm.finish()?;
        vm.verify()
    }
}
