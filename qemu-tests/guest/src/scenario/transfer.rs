// SPDX-License-Identifier: GPL-2.0

//! Moving a running VM from one VF to another, as a VM monitor does it on two hosts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::control::Report;
use crate::qm::Vm;
use crate::vfio::{Device, State};

/// The way a VM is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Path {
    /// By PRE_COPY, with work going on in it, then STOP_COPY.
    PreCopy,
    /// Straight to STOP_COPY.
    Straight,
}

/// Size of the part of the stream that comes in PRE_COPY.
pub(super) const MATCH_SIZE: usize = 40;
/// Size of the whole stream.
pub(super) const STREAM_SIZE: usize = 176;

/// The engine takes this long for a request while the VM is not being stopped.
pub(super) const FAST: Duration = Duration::from_micros(20);
/// The engine takes this long for a request while the VM is being stopped: as long as it needs to
/// for something to be left, on a machine where stopping takes its time, too.
const SLOW: Duration = Duration::from_millis(50);
/// And no longer than this, as a stop waits for what is in flight, for a second.
const SLOWEST: Duration = Duration::from_millis(400);

/// What the stops of a VM left behind.
pub(super) struct Found {
    outstanding: usize,
    waiting: usize,
    /// How slow the engine is to be at the next stop.
    pub(super) slow: Duration,
}

impl Found {
    pub(super) fn new() -> Self {
        Found {
            outstanding: 0,
            waiting: 0,
            slow: SLOW,
        }
    }

    /// Looks at a VM that was just stopped.
    pub(super) fn look(&mut self, vm: &Vm) {
        let waiting = vm.waiting();
        self.outstanding += vm.outstanding();
        self.waiting += waiting;
        if waiting == 0 {
            self.slow = SLOWEST.min(2 * self.slow);
        }
    }

    /// Requests must have been in flight.
    pub(super) fn report(&self, report: &mut Report) {
        report.point("requests were in flight at the stops", || {
            ensure!(
                self.outstanding > 0,
                "no request was outstanding at any stop"
            );
            ensure!(
                self.waiting > 0,
                "no request was left for the other side at any stop"
            );
            Ok(())
        });
        report.note(&format!("outstanding at stops: {}", self.outstanding));
        report.note(&format!("not completed at stops: {}", self.waiting));
    }
}

/// Every request of the VM must have been done by now, once and right.
pub(super) fn report_requests(vm: &Vm, report: &mut Report) {
    report.point("every request completed once, byte for byte", || {
        ensure!(
            vm.outstanding() == 0,
            "{} requests are lost",
            vm.outstanding()
        );
        vm.verify()
    });
    report.note(&format!("{:?}", vm.counts()));
}

/// A VM's device, stopped, and its state.
pub(super) struct Stopped {
    /// Still in STOP_COPY.
    pub(super) device: Device,
    pub(super) stream: Vec<u8>,
}

/// Stops the VM and takes its device away. While the state is PRE_COPY, `meanwhile` runs.
pub(super) fn stop(
    vm: &mut Vm,
    path: Path,
    chunk: usize,
    meanwhile: impl FnOnce(&mut Vm) -> Result<()>,
) -> Result<Stopped> {
    let mut stream = Vec::new();
    let file = match path {
        Path::Straight => vm.device()?.set_state_with_file(State::StopCopy)?,
        Path::PreCopy => {
            let file = vm.device()?.set_state_with_file(State::PreCopy)?;
            stream = file.read_available(chunk)?;
            ensure!(
                stream.len() == MATCH_SIZE,
                "expected {MATCH_SIZE} bytes in PRE_COPY, got {}",
                stream.len(),
            );
            meanwhile(vm)?;
            let second = vm
                .device()?
                .set_state(State::StopCopy)
                .context("setting STOP_COPY")?;
            ensure!(
                second.is_none(),
                "PRE_COPY to STOP_COPY returned a second data file"
            );
            file
        }
    };
    stream.extend(file.read_available(chunk)?);
    ensure!(
        stream.len() == STREAM_SIZE,
        "expected a stream of {STREAM_SIZE} bytes, got {}",
        stream.len(),
    );
    let device = vm.detach()?;
    Ok(Stopped { device, stream })
}

/// Loads a stream into a device that was just opened, and gives it to the VM, running.
pub(super) fn load(vm: &mut Vm, mut device: Device, stream: &[u8], chunks: &[usize]) -> Result<()> {
    let file = device.set_state_with_file(State::Resuming)?;
    file.write_chunks(stream, chunks)?;
    // The VM's configuration space and interrupts come along with its device.
    device.enable()?;
    device
        .set_state(State::Stop)
        .context("setting STOP, which loads the stream")?;
    device
        .set_state(State::Running)
        .context("setting RUNNING")?;
    vm.attach(device);
    Ok(())
}
