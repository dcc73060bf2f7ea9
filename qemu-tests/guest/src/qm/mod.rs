// SPDX-License-Identifier: GPL-2.0

//! The VM: its memory, and the driver in it that brings a queue manager up and gives it work.
//!
//! All state of that driver lies in [`Vm`]; the device it works on can be taken away and another
//! one put in its place, as live migration does to a VM. Nothing here knows one engine from
//! another.

mod image;
mod layout;
pub(crate) mod registers;
mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::engine::{Engine, Work, ZIP};
use crate::ffi::Mapping;
use crate::sysfs::Function;
use crate::vfio::{Container, Device, Kind, Memory, Token};
use image::{AEQ_DEPTH, EQ_DEPTH, QUEUE_DEPTH, QUEUES, SLOTS};
pub(crate) use image::{IOVA, Image, SLOT_BUFFER};
pub(crate) use layout::{Buffer, Entry, Fields};
use layout::{CQE_SIZE, Cqe, EQE_SIZE, Eqe, Submission};
use registers::{Bell, Command};
pub(crate) use slot::{Side, Slot};

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
pub(crate) enum Notice {
    /// By the event queue and its interrupt.
    Interrupt,
    /// By looking at the completion queues.
    Polling,
}

/// What became of the requests.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    /// Completions of requests that were completed before, or never made.
    pub(crate) duplicates: u64,
    /// Wrong bytes, or an error status.
    pub(crate) wrong: u64,
    /// Interrupts taken.
    pub(crate) interrupts: u64,
}

/// Addresses in the VM's memory, as the device sees them.
pub(crate) struct Addresses {
    pub(crate) events: u64,
    pub(crate) abnormal_events: u64,
    pub(crate) submission_contexts: u64,
    pub(crate) completion_contexts: u64,
}

/// A VM with one accelerator, or the part of a VM that belongs to one of its accelerators.
pub(crate) struct Vm {
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
    /// What the first wrong result was.
    complaint: Option<String>,
}

impl Vm {
    /// A VM for a ZIP accelerator.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        Self::with(ZIP.engine, IOVA, seed)
    }

    /// A VM for an accelerator with `engine`, whose memory begins at `iova` for the device.
    pub(crate) fn with(engine: &'static dyn Engine, iova: u64, seed: u64) -> Result<Self> {
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
    pub(crate) fn open(&self, kind: Kind, function: &Function) -> Result<Device> {
        Device::open(kind, function, self.for_dma())
    }

    /// The VM's memory, for a device's DMA.
    pub(crate) fn for_dma(&self) -> Memory {
        self.image.for_dma()
    }

    /// As [`Vm::open`], of a VF whose PF is a VFIO device, too.
    pub(crate) fn open_with_token(&self, function: &Function, token: &Token) -> Result<Device> {
        Device::open_with_token(function, token, self.image.for_dma())
    }

    /// Opens a function for each of these, which are parts of one VM: each device reaches the
    /// memory of all.
    pub(crate) fn open_together(
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
    pub(crate) fn end(&self) -> u64 {
        self.image.end()
    }

    /// Where the VM's driver tells the device that things are.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            events: self.image.address(Image::eq()),
            abnormal_events: self.image.address(Image::aeq()),
            submission_contexts: self.image.address(Image::sqc_table()),
            completion_contexts: self.image.address(Image::cqc_table()),
        }
    }

    /// The VM's memory.
    pub(crate) fn memory(&self) -> &Arc<Mapping> {
        &self.image.memory
    }

    pub(crate) fn device(&self) -> Result<&Device> {
        self.device.as_ref().context("the VM has no device")
    }

    /// Gives the VM its device.
    pub(crate) fn attach(&mut self, device: Device) {
        self.device = Some(device);
    }

    /// Takes the device away. An interrupt that it raised stays pending, as in the interrupt
    /// controller of a VM.
    pub(crate) fn detach(&mut self) -> Result<Device> {
        let device = self.device.take().context("the VM has no device")?;
        self.pending |= device.take_signal(EQ_VECTOR)?;
        Ok(device)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the VM's driver has brought its device up.
    pub(crate) fn is_up(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Requests that have not been seen to complete.
    pub(crate) fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// Requests not even completed in memory: they wait in a submission queue.
    pub(crate) fn waiting(&self) -> usize {
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

    /// Brings the queue manager up and starts the queues, in the order `hisi_qm` does it. Returns
    /// how many queues the function has.
    pub(crate) fn bring_up(&mut self) -> Result<u16> {
        let device = self.device.as_mut().context("the VM has no device")?;
        device.enable()?;
        let registers = self.registers()?;

        let depths = (
            registers.read32(registers::EQ_AEQ_DEPTH),
            registers.read32(registers::QUEUE_DEPTH),
        );
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        let wanted = (pair(EQ_DEPTH, AEQ_DEPTH), pair(QUEUE_DEPTH, QUEUE_DEPTH));
        ensure!(
            depths == wanted,
            "expected ring depths {wanted:#x?}, the device has {depths:#x?}"
        );
        ensure!(
            registers.read32(registers::QUEUE_ISOLATION) & 1 == 0,
            "doorbells are isolated in another BAR, which this VM does not support",
        );
        let vft = registers::mailbox_read(registers, Command::Vft, 0)?;
        let queues = (vft >> 45 & 0x3ff) as u16 + 1;
        ensure!(
            queues >= QUEUES,
            "expected at least {QUEUES} queues, the function has {queues}"
        );

        // Messages of the PF.
        registers.write32(
            registers::IFC_INT_SOURCE,
            registers.read32(registers::IFC_INT_SOURCE) | 1,
        );
        registers.write32(
            registers::IFC_INT_MASK,
            registers.read32(registers::IFC_INT_MASK) & !1,
        );

        let memory = self.image.memory.clone();
        memory.write(Image::eq(), &vec![0; usize::from(EQ_DEPTH) * EQE_SIZE]);
        memory.write(Image::aeq(), &vec![0; usize::from(AEQ_DEPTH) * EQE_SIZE]);
        let eqc = layout::eqc(self.image.address(Image::eq()), EQ_DEPTH);
        self.hand_over(Command::Eqc, 0, &eqc)?;
        let aeqc = layout::eqc(self.image.address(Image::aeq()), AEQ_DEPTH);
        self.hand_over(Command::Aeqc, 0, &aeqc)?;
        let table = self.image.address(Image::sqc_table());
        registers::mailbox_write(registers, Command::SqcTable, 0, table)?;
        let table = self.image.address(Image::cqc_table());
        registers::mailbox_write(registers, Command::CqcTable, 0, table)?;
        registers.write32(registers::PAGE_SIZE, 0);
        registers::ring(registers, Bell::Aeq, 0, 0, false);
        registers::ring(registers, Bell::Eq, 0, 0, false);
        registers.write32(registers::EQ_INT_MASK, 0);
        registers.write32(registers::AEQ_INT_MASK, 0);
        registers.write32(registers::VF_STATE, registers::READY);

        self.events = Consumer::new(EQ_DEPTH);
        self.queues.clear();
        for queue in 0..QUEUES {
            self.start_queue(queue)?;
        }
        Ok(queues)
    }

    fn start_queue(&mut self, queue: u16) -> Result<()> {
        self.image.memory.write(
            Image::cq(queue),
            &vec![0; usize::from(QUEUE_DEPTH) * CQE_SIZE],
        );
        let submission = Submission {
            base: self.image.address(Image::sq(queue)),
            depth: QUEUE_DEPTH,
            entry_size: self.engine.entry_size(),
            algorithm: self.engine.algorithm(queue),
        };
        self.hand_over(Command::Sqc, queue, &layout::sqc(queue, &submission))?;
        let base = self.image.address(Image::cq(queue));
        self.hand_over(Command::Cqc, queue, &layout::cqc(base, QUEUE_DEPTH))?;
        self.queues.push(Queue {
            tail: 0,
            outstanding: 0,
            completions: Consumer::new(QUEUE_DEPTH),
        });
        Ok(())
    }

    /// Has the device read a context.
    fn hand_over(&self, command: Command, queue: u16, context: &[u8]) -> Result<()> {
        self.image.memory.write(Image::scratch(), context);
        let address = self.image.address(Image::scratch());
        registers::mailbox_write(self.registers()?, command, queue, address)
    }

    /// Stops the queues and takes the driver's readiness back, as unbinding it would.
    pub(crate) fn shut_down(&mut self) -> Result<()> {
        let registers = self.registers()?;
        for queue in 0..QUEUES {
            registers::mailbox_write(registers, Command::StopQueue, queue, 0)?;
        }
        registers.write32(registers::EQ_INT_MASK, 1);
        registers.write32(registers::AEQ_INT_MASK, 1);
        registers.write32(registers::VF_STATE, registers::NOT_READY);
        self.queues.clear();
        Ok(())
    }

    /// Forgets all requests, as a driver does whose device was reset. Those that the reset cut off
    /// count as never made.
    pub(crate) fn forget(&mut self) {
        self.counts.submitted -= self.outstanding() as u64;
        for (_, request) in self.requests.drain() {
            self.free.push(request.slot);
        }
        self.queues.clear();
        self.pending = false;
    }

    /// Brings everything up again after a reset.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        self.forget();
        self.bring_up().map(drop)
    }

    /// Makes `count` new requests, spread over all queues, with a doorbell for each.
    pub(crate) fn submit(&mut self, count: usize) -> Result<()> {
        for index in 0..count {
            let queue = (index % usize::from(QUEUES)) as u16;
            self.fill(queue)?;
            self.ring_tail(queue)?;
        }
        Ok(())
    }

    /// As [`Vm::submit`], with a doorbell for each queue when all are made: the device gets them
    /// faster than it can do them, however slow this machine is.
    pub(crate) fn submit_at_once(&mut self, count: usize) -> Result<()> {
        for index in 0..count {
            self.fill((index % usize::from(QUEUES)) as u16)?;
        }
        (0..QUEUES).try_for_each(|queue| self.ring_tail(queue))
    }

    fn ring_tail(&self, queue: u16) -> Result<()> {
        let tail = self.queues[usize::from(queue)].tail;
        registers::ring(self.registers()?, Bell::Sq, queue, tail, false);
        Ok(())
    }

    /// Fills the next SQE of a queue.
    fn fill(&mut self, queue: u16) -> Result<()> {
        let slot = self.free.pop().context("all request slots are in use")?;
        let state = self
            .queues
            .get_mut(usize::from(queue))
            .context("the queue is not started")?;
        ensure!(state.outstanding + 1 < QUEUE_DEPTH, "queue {queue} is full");
        let tag = self.next_tag;
        let place = Image::sq(queue) + usize::from(state.tail) * self.engine.entry_size();
        state.tail = (state.tail + 1) % QUEUE_DEPTH;
        state.outstanding += 1;
        self.next_tag += 1;

        let work = self.engine.work(queue, &mut self.random);
        let entry = work.submit(&self.image.slot(slot), tag, &mut self.random);
        self.image.memory.write(place, &entry);
        self.requests.insert(tag, Request { work, slot });
        self.counts.submitted += 1;
        Ok(())
    }

    /// Chooses how completions are noticed from now on.
    pub(crate) fn notice_by(&mut self, notice: Notice) -> Result<()> {
        self.notice = notice;
        if notice == Notice::Interrupt {
            // While polling nobody armed the completion queues, or looked at the event queue.
            for queue in 0..QUEUES {
                self.reap(queue)?;
            }
            self.handle_events()?;
        }
        Ok(())
    }

    /// Runs the VM until `left` requests or fewer are outstanding.
    pub(crate) fn run_until(&mut self, left: usize, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while self.outstanding() > left {
            match self.notice {
                Notice::Polling => {
                    for queue in 0..QUEUES {
                        self.reap(queue)?;
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
                Notice::Interrupt => {
                    if self.wait_interrupt(Duration::from_millis(20))? {
                        self.counts.interrupts += 1;
                        self.handle_events()?;
                    }
                }
            }
            if Instant::now() > deadline {
                let unseen: usize = (0..QUEUES).map(|queue| self.unseen(queue)).sum();
                bail!(
                    "{} of {} requests are outstanding after {timeout:?} ({:?}); {unseen} of them \
                     are complete in memory without notice",
                    self.outstanding(),
                    self.counts.submitted,
                    self.notice,
                );
            }
        }
        Ok(())
    }

    /// Runs the VM until nothing is outstanding.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.run_until(0, Duration::from_secs(60))
    }

    fn wait_interrupt(&mut self, timeout: Duration) -> Result<bool> {
        let device = self.device.as_ref().context("the VM has no device")?;
        if !std::mem::take(&mut self.pending) {
            let mut waiting = [PollFd::new(device.vector(EQ_VECTOR)?, PollFlags::IN)];
            poll(&mut waiting, Some(&Timespec::try_from(timeout)?))?;
            return device.take_signal(EQ_VECTOR);
        }
        device.take_signal(EQ_VECTOR)?;
        Ok(true)
    }

    /// What the handler of the event queue's interrupt does.
    fn handle_events(&mut self) -> Result<()> {
        loop {
            let offset = Image::eq() + usize::from(self.events.head) * EQE_SIZE;
            let event = Eqe::read(&self.image.memory, offset);
            if event.phase != self.events.phase {
                break;
            }
            ensure!(
                event.queue < QUEUES,
                "event for queue {}, which was never started",
                event.queue
            );
            self.events.advance();
            self.reap(event.queue)?;
        }
        registers::ring(self.registers()?, Bell::Eq, 0, self.events.head, false);
        Ok(())
    }

    /// Takes all completions of a queue.
    fn reap(&mut self, queue: u16) -> Result<()> {
        let mut ring = match self.queues.get(usize::from(queue)) {
            Some(state) => state.completions,
            None => bail!("queue {queue} is not started"),
        };
        loop {
            let cqe = self.cqe(queue, ring);
            if cqe.phase != ring.phase {
                break;
            }
            ensure!(
                cqe.sq_num == queue,
                "queue {queue} got a completion of queue {}",
                cqe.sq_num
            );
            let size = self.engine.entry_size();
            let place = Image::sq(queue) + usize::from(cqe.sq_head % QUEUE_DEPTH) * size;
            let entry = Entry::new(self.image.memory.read(place, size));
            self.complete(queue, &entry);
            ring.advance();
            registers::ring(self.registers()?, Bell::Cq, queue, ring.head, false);
        }
        self.queues[usize::from(queue)].completions = ring;
        if self.notice == Notice::Interrupt {
            registers::ring(self.registers()?, Bell::Cq, queue, ring.head, true);
        }
        Ok(())
    }

    fn complete(&mut self, queue: u16, entry: &Entry) {
        let tag = self.engine.tag(entry);
        let Some(request) = self.requests.remove(&tag) else {
            self.counts.duplicates += 1;
            let text = format!("queue {queue}: tag {tag} completed, which is not outstanding");
            self.complaint.get_or_insert(text);
            return;
        };
        self.counts.completed += 1;
        self.queues[usize::from(queue)].outstanding -= 1;
        if let Err(error) = request.work.check(&self.image.slot(request.slot), entry) {
            self.counts.wrong += 1;
            self.complaint
                .get_or_insert(format!("queue {queue}: tag {tag}: {error:#}"));
        }
        self.free.push(request.slot);
    }

    /// All requests so far completed exactly once with the right bytes.
    pub(crate) fn verify(&self) -> Result<()> {
        let expected = Counts {
            submitted: self.counts.submitted,
            completed: self.counts.submitted,
            interrupts: self.counts.interrupts,
            ..Counts::default()
        };
        let complaint = self.complaint.as_deref().unwrap_or("none lost its bytes");
        ensure!(
            self.counts == expected,
            "expected {expected:?}, got {:?} ({complaint})",
            self.counts
        );
        Ok(())
    }
}
