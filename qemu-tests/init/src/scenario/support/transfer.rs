// SPDX-License-Identifier: GPL-2.0

//! Moving a running VM from one VF to another, as a VM monitor does it on two hosts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::Report;
use fastrand::Rng;
use vfio_client::{Device, State};
use vm::qm::Vm;

use super::stream_layout::{
    AEQC, AEQE_DMA, EQC, EQE_DMA, MAGIC, MAGIC_V1, MAJOR_VERSION, MATCH_SIZE, PRIVATE, STREAM_SIZE,
    word,
};
use crate::expect::equal;

/// The way a VM is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Path {
    /// By PRE_COPY, with work going on in it, then STOP_COPY.
    PreCopy,
    /// Straight to STOP_COPY.
    Straight,
}

/// The engine takes this long for a request while the VM is not being stopped.
pub(crate) const FAST: Duration = Duration::from_micros(20);
/// The engine takes this long for a request while the VM is being stopped: as long as it needs to
/// for something to be left, on a machine where stopping takes its time, too.
const SLOW: Duration = Duration::from_millis(50);
/// And no longer than this, as a stop waits for what is in flight, for a second.
const SLOWEST: Duration = Duration::from_millis(400);

/// Requests that the stops of a VM left behind.
pub(crate) struct Found {
    outstanding: usize,
    waiting: usize,
    /// How slow the engine is to be at the next stop.
    pub(crate) slow: Duration,
}

impl Found {
    pub(crate) fn new() -> Self {
        Found {
            outstanding: 0,
            waiting: 0,
            slow: SLOW,
        }
    }

    /// Looks at a VM that was just stopped.
    pub(crate) fn look(&mut self, vm: &Vm) {
        let waiting = vm.waiting();
        self.outstanding += vm.outstanding();
        self.waiting += waiting;
        if waiting == 0 {
            self.slow = SLOWEST.min(2 * self.slow);
        }
    }

    /// Requests must have been in flight.
    pub(crate) fn report(&self, report: &mut Report) {
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
        control::note(format!("outstanding at stops: {}", self.outstanding));
        control::note(format!("not completed at stops: {}", self.waiting));
    }
}

/// Every request of the VM must have been done by now, once and right.
pub(crate) fn report_requests(vm: &Vm, report: &mut Report) {
    report.point("every request completed once, byte for byte", || {
        ensure!(
            vm.outstanding() == 0,
            "{} requests are lost",
            vm.outstanding()
        );
        vm.verify()
    });
    control::note(format!("{:?}", vm.counts()));
}

/// How a stream is handed over.
#[derive(Debug)]
pub(crate) struct ChunkSizes {
    /// Bytes asked for by each read.
    pub(crate) read: usize,
    /// Bytes of each write; the last number repeats.
    pub(crate) writes: Vec<usize>,
    /// As the C driver sent it before Linux 6.16.
    pub(crate) version_1: bool,
}

impl ChunkSizes {
    /// Sizes with which pieces begin and end where a driver may go wrong.
    pub(crate) const EDGES: [(usize, &[usize]); 4] = [
        (4096, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE]),
        (STREAM_SIZE, &[STREAM_SIZE]),
        (7, &[1]),
        (1, &[39, 2, 100]),
    ];

    /// The sizes with this number in [`ChunkSizes::EDGES`].
    pub(crate) fn edge(number: usize) -> Self {
        let (read, writes) = Self::EDGES[number];
        ChunkSizes {
            read,
            writes: writes.to_vec(),
            version_1: false,
        }
    }

    /// Pieces of any size.
    pub(crate) fn random(random: &mut Rng) -> Self {
        let longest = random.usize(1..=STREAM_SIZE);
        let mut writes = Vec::new();
        while writes.iter().sum::<usize>() < STREAM_SIZE {
            writes.push(random.usize(1..=longest));
        }
        ChunkSizes {
            read: random.usize(1..=STREAM_SIZE),
            writes,
            version_1: false,
        }
    }

    /// Returns the stream that arrives.
    pub(crate) fn pass(&self, stream: &[u8]) -> Vec<u8> {
        if self.version_1 {
            version_1(stream)
        } else {
            stream.to_vec()
        }
    }
}

/// A stream as the C driver sent it before Linux 6.16: with another magic, without version, and
/// with addresses of the event queues made of the wrong words of their contexts.
fn version_1(stream: &[u8]) -> Vec<u8> {
    let mut old = stream.to_vec();
    old[MAGIC].copy_from_slice(&MAGIC_V1.to_le_bytes());
    old[MAJOR_VERSION.start..PRIVATE.end].fill(0);
    if stream.len() == STREAM_SIZE {
        for (address, context) in [(EQE_DMA, EQC), (AEQE_DMA, AEQC)] {
            // Words 0 and 1 instead of 1 and 2.
            let words = word(&context, 0).start..word(&context, 1).end;
            old[address].copy_from_slice(&stream[words]);
        }
    }
    old
}

/// A VM's device, stopped, and its state.
pub(crate) struct Stopped {
    /// Still in STOP_COPY.
    pub(crate) device: Device,
    pub(crate) stream: Vec<u8>,
}

/// Stops the VM and takes its device away. While the state is PRE_COPY, `meanwhile` runs.
pub(crate) fn stop(
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
            equal("bytes in PRE_COPY", stream.len(), MATCH_SIZE)?;
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
    let size = if vm.is_up() { STREAM_SIZE } else { MATCH_SIZE };
    equal("bytes of the stream", stream.len(), size)?;
    let device = vm.detach()?;
    Ok(Stopped { device, stream })
}

/// Loads a stream into a device that was just opened, and gives it to the VM, running.
pub(crate) fn load(vm: &mut Vm, mut device: Device, stream: &[u8], chunks: &[usize]) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_has_the_wrong_words() {
        let stream: Vec<u8> = (0..STREAM_SIZE as u8).collect();
        let old = version_1(&stream);
        assert_eq!(old[..4], [0xcc, 0xaa, 0xed, 0xfe]);
        assert_eq!(old[8..28], stream[8..28]);
        assert_eq!(old[28..40], [0; 12]);
        assert_eq!(old[40..144], stream[40..144]);
        assert_eq!(old[144..152], stream[64..72]);
        assert_eq!(old[152..160], stream[92..100]);
        assert_eq!(old[160..], stream[160..]);
        assert_eq!(version_1(&stream[..MATCH_SIZE]), old[..MATCH_SIZE]);
    }

    #[test]
    fn random_passages_pass_everything_and_differ() {
        let mut random = Rng::with_seed(1);
        let all: Vec<_> = (0..20).map(|_| ChunkSizes::random(&mut random)).collect();
        for chunks in &all {
            assert!(chunks.writes.iter().sum::<usize>() >= STREAM_SIZE);
            assert!(chunks.read > 0 && !chunks.writes.contains(&0));
        }
        assert!(all.windows(2).all(|two| two[0].writes != two[1].writes));
    }
}
