// SPDX-License-Identifier: GPL-2.0

//! A VM with a VF of each engine, in one container, moves back and forth with all three at work.
//!
//! States are set in the order in which QEMU sets them: each step for all devices, before the next
//! one for any. A monitor does not migrate such a VM without the P2P states.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report};
use linux::sysfs::Function;
use protocol::Setup;
use vfio_client::{DataFile, Device, State};
use vm::engine;
use vm::qm::{IOVA, Vm};

use crate::expect::equal;
use crate::host::Host;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::transfer::{self, FAST, Found};

const ROUND_TRIPS: usize = 5;
/// Requests of each engine that complete before a stop.
const DONE: usize = 64;
/// Requests of each engine that are submitted just before a stop.
const IN_FLIGHT: usize = 192;

/// The part of the VM that belongs to one of its accelerators.
struct Part {
    host: Host,
    vm: Vm,
    found: Found,
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut parts: Vec<Part> = Vec::new();
    for (seed, accelerator) in (1..).zip(engine::ALL) {
        let iova = parts.last().map_or(IOVA, |part| part.vm.end());
        parts.push(Part {
            host: Host::with(setup, accelerator, 2)?,
            vm: Vm::with(accelerator.engine, iova, seed)?,
            found: Found::new(),
        });
    }

    let up = report.point("work on the first VF of each", || {
        let devices = open(&parts, 0)?;
        for (part, device) in parts.iter_mut().zip(devices) {
            part.vm.attach(device);
            part.vm.bring_up()?;
        }
        work(&mut parts)
    });
    ensure!(up, "nothing to migrate");
    for trip in 1..=ROUND_TRIPS {
        let done = report.point(&format!("round trip {trip}"), || {
            move_on(&mut parts, 1).context("to the second VFs")?;
            move_on(&mut parts, 0).context("to the first VFs")
        });
        if !done {
            break;
        }
    }
    for part in &mut parts {
        control::note(format!("accelerator: {}", part.host.accelerator.name()));
        part.found.report(report);
        transfer::report_requests(&part.vm, report);
        report.point("the queues stop", || part.vm.shut_down());
        let clean = part.host.is_clean()?;
        EmulatedDevice(part.host.accelerator.id).report_violations(report, clean);
    }
    Ok(())
}

/// Opens VF `number` of each accelerator.
fn open(parts: &[Part], number: usize) -> Result<Vec<Device>> {
    let vms: Vec<&Vm> = parts.iter().map(|part| &part.vm).collect();
    let functions: Vec<&Function> = parts.iter().map(|part| &part.host.vfs[number]).collect();
    Vm::open_together(&vms, parts[0].host.kind, &functions)
}

/// All engines work at the same time.
fn work(parts: &mut [Part]) -> Result<()> {
    for part in &mut *parts {
        part.vm.submit(DONE)?;
    }
    for part in parts {
        part.vm.finish()?;
        part.vm.verify()?;
    }
    Ok(())
}

fn set_state(device: &Device, state: State) -> Result<Option<DataFile>> {
    let file = device.set_state(state);
    let file = file.with_context(|| format!("setting {state}"))?;
    equal("state", device.state()?, state)?;
    Ok(file)
}

/// Moves the VM to VF `to` of each accelerator while it works.
fn move_on(parts: &mut [Part], to: usize) -> Result<()> {
    work(parts)?;
    let streams = stop(parts)?;
    let mut sources = Vec::new();
    for part in &mut *parts {
        part.found.look(&part.vm);
        sources.push(part.vm.detach()?);
    }
    let before: Vec<u64> = fingerprints(parts);

    let mut devices = open(parts, to)?;
    for (device, stream) in devices.iter_mut().zip(&streams) {
        let file = set_state(device, State::Resuming)?.context("no data file")?;
        file.write_chunks(stream, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE])?;
        // The VM's configuration space and interrupts come along with its device.
        device.enable()?;
    }
    equal(
        "sums of the VM's memory since the stop",
        fingerprints(parts),
        before,
    )?;
    for device in &devices {
        set_state(device, State::RunningP2p)?;
    }
    for device in &devices {
        set_state(device, State::Running)?;
    }
    for (part, device) in parts.iter_mut().zip(devices) {
        part.vm.attach(device);
        EmulatedDevice(part.host.accelerator.id).set_latency(FAST)?;
    }
    for source in sources {
        set_state(&source, State::Stop)?;
    }
    for part in &mut *parts {
        part.vm.finish()?;
        part.vm.verify()?;
    }
    Ok(())
}

fn fingerprints(parts: &[Part]) -> Vec<u64> {
    let sums = parts.iter().map(|part| part.vm.memory().fingerprint());
    sums.collect()
}

/// Stops all devices under work; their streams.
fn stop(parts: &mut [Part]) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    let mut streams = Vec::new();
    for part in &*parts {
        let file = set_state(part.vm.device()?, State::PreCopy)?.context("no data file")?;
        let stream = file.read_available(STREAM_SIZE)?;
        equal("bytes in PRE_COPY", stream.len(), MATCH_SIZE)?;
        files.push(file);
        streams.push(stream);
    }
    for part in &mut *parts {
        EmulatedDevice(part.host.accelerator.id).set_latency(part.found.slow)?;
        part.vm.submit_at_once(IN_FLIGHT)?;
    }
    for part in &*parts {
        let second = set_state(part.vm.device()?, State::PreCopyP2p)?;
        ensure!(second.is_none(), "PRE_COPY_P2P made a second data file");
    }
    // They still work: there is no path between them that would have to be quiet. What is seen
    // first may have been done before.
    for _ in 0..2 {
        for part in &mut *parts {
            let left = part.vm.outstanding().saturating_sub(1);
            part.vm.run_until(left, Duration::from_secs(120))?;
        }
    }
    for ((part, file), stream) in parts.iter().zip(&files).zip(&mut streams) {
        set_state(part.vm.device()?, State::StopCopy)?;
        stream.extend(file.read_available(STREAM_SIZE)?);
        equal("bytes of the stream", stream.len(), STREAM_SIZE)?;
    }
    Ok(streams)
}
