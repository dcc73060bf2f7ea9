// SPDX-License-Identifier: GPL-2.0

//! The VM: its memory, and the driver in it that brings a queue manager up and gives it work.
//!
//! All state of that driver lies in [`Vm`]; the device it works on can be taken away and another
//! one put in its place, as live migration does to a VM. Nothing here knows one engine from
//! another: see [`Engine`].

mod image;
mod layout;
pub mod messages;
pub mod registers;
mod requests;
mod slot;
mod start;
mod work;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use fastrand::Rng;

use image::{EQ_DEPTH, QUEUES, SLOTS};
pub use image::{IOVA, Image, SLOT_BUFFER};
pub use layout::{Buffer, Entry, Fields};
use layout::{CQE_SIZE, Cqe};
use linux::ffi::Mapping;
use linux::sysfs::Function;
pub use slot::{Side, Slot};
use vfio_client::{Container, Device, Kind, Memory, Token};
pub use work::{Engine, Work};

/// The vector of the event queue.
const EQ_VECTOR: usize = 0;

/// A ring that the device fills: where the VM is in it.
#[derive(Clone, Copy)]
struct Consumer {
    head: u16,
    phase: bool,
    depth: u16,
}

impl Consumer {
    fn new(depth: u16) -> Self {
        Consumer {
            head: 0,
            phase: true,
            depth,
        }
    }

    fn advance(&mut self) {
        self.head += 1;
        if self.head == self.depth {
            self.head = 0;
            self.phase = !self.phase;
        }
    }
}

struct Queue {
    tail: u16,
    outstanding: u16,
    completions: Consumer,
}

struct Request {
    work: Box<dyn Work>,
    slot: usize,
}

/// How the VM learns of completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// By the event queue and its interrupt.
    Interrupt,
    /// By looking at the completion queues.
    Polling,
}

/// Counts of requests by their result.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Requests made.
    pub submitted: u64,
    /// Completions of requests that were outstanding.
    pub completed: u64,
    /// Completions of requests that were completed before, or never made.
    pub duplicates: u64,
    /// Wrong bytes, or an error status.
    pub wrong: u64,
    /// Interrupts taken.
    pub interrupts: u64,
}

/// Addresses in the VM's memory, as the device sees them.
pub struct Addresses {
    /// The event queue.
    pub events: u64,
    /// The abnormal event queue.
    pub abnormal_events: u64,
    /// The table of the submission queues' contexts.
    pub submission_contexts: u64,
    /// The table of the completion queues' contexts.
    pub completion_contexts: u64,
}

/// A VM with one accelerator, or the part of a VM that belongs to one of its accelerators.
pub struct Vm {
    engine: &'static dyn Engine,
    image: Image,
    device: Option<Device>,
    events: Consumer,
    queues: Vec<Queue>,
    requests: HashMap<u64, Request>,
    free: Vec<usize>,
    next_tag: u64,
    random: Rng,
    notice: Notice,
    counts: Counts,
    /// The interrupt was raised on a device that has been taken away since.
    pending: bool,
    /// The first wrong result.
    complaint: Option<String>,
}

impl Vm {
    /// A VM for an accelerator with `engine`, whose memory begins at `iova` for the device.
    pub fn with(engine: &'static dyn Engine, iova: u64, seed: u64) -> Result<Self> {
        Ok(Vm {
            engine,
            image: Image::new(iova)?,
            device: None,
            events: Consumer::new(EQ_DEPTH),
            queues: Vec::new(),
            requests: HashMap::new(),
            free: (0..SLOTS).rev().collect(),
            next_tag: 1,
            random: Rng::with_seed(seed),
            notice: Notice::Interrupt,
            counts: Counts::default(),
            pending: false,
            complaint: None,
        })
    }

    /// Opens a function with the VM's memory behind it. It does not become the VM's device yet.
    pub fn open(&self, kind: Kind, function: &Function) -> Result<Device> {
        Device::open(kind, function, self.for_dma())
    }

    /// The VM's memory, for a device's DMA.
    pub fn for_dma(&self) -> Memory {
        self.image.for_dma()
    }

    /// As [`Vm::open`], of a VF whose PF is a VFIO device, too.
    pub fn open_with_token(&self, function: &Function, token: &Token) -> Result<Device> {
        Device::open_with_token(function, token, self.image.for_dma())
    }

    /// Opens a function for each of these, which are parts of one VM: each device reaches the
    /// memory of all.
    pub fn open_together(
        parts: &[&Vm],
        kind: Kind,
        functions: &[&Function],
    ) -> Result<Vec<Device>> {
        let memories = parts.iter().map(|part| part.for_dma()).collect();
        let container = Arc::new(Container::new(kind, functions, memories)?);
        let devices = functions.iter();
        devices
            .map(|function| Device::open_in(&container, function))
            .collect()
    }

    /// Where the memory of the VM's next part may begin.
    pub fn end(&self) -> u64 {
        self.image.end()
    }

    /// Where the VM's driver tells the device that things are.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            events: self.image.address(Image::eq()),
            abnormal_events: self.image.address(Image::aeq()),
            submission_contexts: self.image.address(Image::sqc_table()),
            completion_contexts: self.image.address(Image::cqc_table()),
        }
    }

    /// The VM's memory.
    pub fn memory(&self) -> &Arc<Mapping> {
        &self.image.memory
    }

    /// The device that the VM has.
    pub fn device(&self) -> Result<&Device> {
        self.device.as_ref().context("the VM has no device")
    }

    /// Gives the VM its device.
    pub fn attach(&mut self, device: Device) {
        self.device = Some(device);
    }

    /// Takes the device away. An interrupt that it raised stays pending, as in the interrupt
    /// controller of a VM.
    pub fn detach(&mut self) -> Result<Device> {
        let device = self.device.take().context("the VM has no device")?;
        self.pending |= device.take_signal(EQ_VECTOR)?;
        Ok(device)
    }

    /// The requests so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the VM's driver has brought its device up.
    pub fn is_up(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Requests that have not been seen to complete.
    pub fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// Requests not even completed in memory: they wait in a submission queue.
    pub fn waiting(&self) -> usize {
        let unseen: usize = (0..QUEUES).map(|queue| self.unseen(queue)).sum();
        self.outstanding() - unseen.min(self.outstanding())
    }

    /// Completions in memory that the VM has not looked at.
    fn unseen(&self, queue: u16) -> usize {
        let Some(state) = self.queues.get(usize::from(queue)) else {
            return 0;
        };
        let mut ring = state.completions;
        let mut count = 0;
        while count < usize::from(state.outstanding) && self.cqe(queue, ring).phase == ring.phase {
            ring.advance();
            count += 1;
        }
        count
    }

    fn cqe(&self, queue: u16, ring: Consumer) -> Cqe {
        Cqe::read(
            &self.image.memory,
            Image::cq(queue) + usize::from(ring.head) * CQE_SIZE,
        )
    }

    fn registers(&self) -> Result<&Mapping> {
        self.device()?.registers()
    }
}
