// SPDX-License-Identifier: GPL-2.0

//! Many VFs on one PF: as many as it can have, with unequal shares of the queues, and several that
//! are saved and loaded at the same time.

use std::collections::HashSet;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::{Report, ZIP0};
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::State;
use vm::engine::ZIP;
use vm::qm::Vm;

use crate::expect::{equal, refused};
use crate::host::Host;
use crate::scenario::support::debugfs;
use crate::scenario::support::stream_layout::MATCH_SIZE;
use crate::scenario::support::transfer::{self, Path};

/// As many as the message registers have bits for.
const VFS: u32 = 63;
/// hisi_zip keeps these for the PF.
const PF_QUEUES: u64 = 64;
/// Of 318 queues in all, each VF gets these, and the last one what is left over.
const SHARE: u64 = 4;
const LAST_SHARE: u64 = 6;

/// VMs that are moved at the same time, each from a VF of its own to one of its own.
const TOGETHER: usize = 8;
const ROUNDS: usize = 3;
const REQUESTS: usize = 64;
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(20);

/// The queues that a stream speaks of: the first one, and how many.
fn queues(stream: &[u8]) -> Result<(u64, u64)> {
    let word = |offset: usize| -> Result<u64> {
        let bytes = stream.get(offset..offset + 4).context("a short stream")?;
        Ok(u64::from(u32::from_le_bytes(bytes.try_into()?)))
    };
    Ok((word(20)?, word(8)?))
}

/// The queues that VF `index` has, counted from 0, where the last VF has `last`. hisi_qm hands them
/// out from the last VF to the first.
fn share(index: usize, vfs: usize, last: u64) -> (u64, u64) {
    match (vfs - 1).checked_sub(index + 1) {
        None => (PF_QUEUES, last),
        Some(between) => (PF_QUEUES + last + SHARE * between as u64, SHARE),
    }
}

pub(super) fn many(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, VFS)?;
    let mut vm = ZIP.vm(1)?;
    report.point("each of 63 VFs has an IOMMU group of its own", || {
        let groups: HashSet<String> = host
            .vfs
            .iter()
            .map(|vf| vf.iommu_group())
            .collect::<Result<_>>()?;
        equal("groups", groups.len(), VFS as usize)
    });
    report.point(
        "each has its share of the queues, the last one more",
        || {
            for (index, vf) in host.vfs.iter().enumerate() {
                let device = vm.open(host.kind, vf)?;
                let file = device.set_state_with_file(State::StopCopy)?;
                let stream = file.read_available(4096)?;
                equal(
                    &format!("first queue and number of VF{}", index + 1),
                    queues(&stream)?,
                    share(index, host.vfs.len(), LAST_SHARE),
                )?;
            }
            Ok(())
        },
    );
    let last = host.vfs.len() - 1;
    let moved = report.point(
        "work moves from the first VF to the one before the last",
        || {
            let device = vm.open(host.kind, &host.vfs[0])?;
            vm.attach(device);
            vm.bring_up()?;
            move_on(&host, &mut vm, last - 1)
        },
    );
    ensure!(moved, "nothing to go on with");
    report.point(
        "it does not move to the last VF, which has more queues",
        || do_not_move(&host, &mut vm, last, (LAST_SHARE, SHARE)),
    );
    report.point("nor from the last VF to another one", || {
        drop(vm.detach()?);
        vm.forget();
        let device = vm.open(host.kind, &host.vfs[last])?;
        vm.attach(device);
        vm.bring_up()?;
        do_not_move(&host, &mut vm, 0, (SHARE, LAST_SHARE))
    });
    ZIP0.report_violations(report, host.driver.is_rust());
    Ok(())
}

/// Moves the VM at work to VF `to`.
fn move_on(host: &Host, vm: &mut Vm, to: usize) -> Result<()> {
    ZIP0.set_latency(SLOW)?;
    vm.submit_at_once(REQUESTS)?;
    let stopped = transfer::stop(vm, Path::PreCopy, 4096, |vm| vm.submit(8))?;
    let device = vm.open(host.kind, &host.vfs[to])?;
    transfer::load(vm, device, &stopped.stream, &[40, 136])?;
    drop(stopped);
    ZIP0.set_latency(FAST)?;
    vm.finish()?;
    vm.verify()
}

/// The VM's stream is refused by VF `to` for the number of its queues, expected and got.
fn do_not_move(host: &Host, vm: &mut Vm, to: usize, numbers: (u64, u64)) -> Result<()> {
    vm.submit(8)?;
    vm.finish()?;
    let file = vm.device()?.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    let vf = &host.vfs[to];
    let device = vm.open(host.kind, vf)?;
    let target = device.set_state_with_file(State::Resuming)?;
    equal(
        "bytes taken before the match data are complete",
        target.write(&stream[..MATCH_SIZE - 1])?,
        MATCH_SIZE - 1,
    )?;
    let rest = target.write(&stream[MATCH_SIZE - 1..]);
    if !host.driver.is_rust() {
        // D-12, and it would be loaded nevertheless (D-7).
        return refused("the match data", rest, Errno::FAULT);
    }
    refused("the match data", rest, Errno::INVAL)?;
    let attr = debugfs::content(&debugfs::device(vf.name()).join("migration/hisi_acc/attr"))?;
    let (expected, got) = numbers;
    let reason = format!("queue_count expected {expected:#x} got {got:#x}");
    let told = attr.lines().any(|line| line.ends_with(&reason));
    ensure!(told, "attr does not say {reason:?}:\n{attr}");
    refused("STOP", device.set_state(State::Stop), Errno::INVAL)?;
    drop(device);
    // The source goes on as if nothing had been.
    vm.device()?.set_state(State::Running)?;
    vm.work(8)
}

/// A VM and where it is.
struct MigratingVm {
    vm: Vm,
    /// Index of its VF.
    at: usize,
    /// Streams that speak of another VF's queues.
    mistaken: usize,
}

pub(super) fn together(setup: &Setup, report: &mut Report) -> Result<()> {
    let vfs = 2 * TOGETHER as u32;
    let host = Host::prepare(setup, vfs)?;
    let mut migrating_vms = (0..TOGETHER)
        .map(|at| {
            let mut vm = ZIP.vm(at as u64 + 1)?;
            let device = vm.open(host.kind, &host.vfs[at])?;
            vm.attach(device);
            vm.bring_up()?;
            Ok(MigratingVm {
                vm,
                at,
                mistaken: 0,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    for round in 0..ROUNDS {
        let path = if round % 2 == 0 {
            Path::PreCopy
        } else {
            Path::Straight
        };
        let name = format!(
            "round {}: {TOGETHER} VMs move at the same time, {path:?}",
            round + 1
        );
        let done = report.point(&name, || {
            ZIP0.set_latency(SLOW)?;
            let start = Barrier::new(TOGETHER);
            let results = std::thread::scope(|scope| {
                let threads: Vec<_> = migrating_vms
                    .iter_mut()
                    .map(|migrating_vm| scope.spawn(|| migrating_vm.travel(&host, path, &start)))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join())
                    .collect::<Vec<_>>()
            });
            for (number, result) in results.into_iter().enumerate() {
                match result {
                    Ok(result) => result.with_context(|| format!("VM {number}"))?,
                    Err(_) => bail!("the thread of VM {number} panicked"),
                }
            }
            ZIP0.set_latency(FAST)?;
            for migrating_vm in &mut migrating_vms {
                migrating_vm.vm.finish()?;
                migrating_vm.vm.verify()?;
            }
            Ok(())
        });
        ensure!(done, "the VMs are lost");
    }
    let mistaken: usize = migrating_vms
        .iter()
        .map(|migrating_vm| migrating_vm.mistaken)
        .sum();
    control::note(format!(
        "streams that speak of another VF's queues: {mistaken} of {}",
        ROUNDS * TOGETHER
    ));
    ZIP0.report_violations(report, host.driver.is_rust());
    Ok(())
}

impl MigratingVm {
    /// Moves to the VF that no other VM goes to. All are saved between the two barriers.
    fn travel(&mut self, host: &Host, path: Path, start: &Barrier) -> Result<()> {
        let submitted = self.vm.submit_at_once(REQUESTS);
        start.wait();
        // A thread that fails must not let the others wait.
        let stopped = submitted.and_then(|()| transfer::stop(&mut self.vm, path, 4096, |_| Ok(())));
        start.wait();
        let stopped = stopped?;
        let (got, own) = (
            queues(&stopped.stream)?,
            share(self.at, host.vfs.len(), SHARE),
        );
        self.mistaken += usize::from(got != own);
        // The C driver may read another VF's entry in the PF's table (D-14).
        if host.driver.is_rust() {
            equal("queues in the stream", got, own)?;
        }
        self.at = (self.at + TOGETHER) % (2 * TOGETHER);
        let device = self.vm.open(host.kind, &host.vfs[self.at])?;
        transfer::load(&mut self.vm, device, &stopped.stream, &[176])
    }
}
