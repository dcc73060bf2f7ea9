// SPDX-License-Identifier: GPL-2.0

//! A function: the part that is the same for PF and VF.

mod command;
mod doorbell;

use std::collections::BTreeMap;

pub(crate) use command::Progress;
pub(crate) use doorbell::Doorbell;

use crate::bus::Bus;
use crate::context::CONTEXT_BYTES;
use crate::engine::Engine;
use crate::event::EventError;
use crate::event::EventQueue;
use crate::host::DmaFault;
use crate::mailbox::Mailbox;
use crate::queue::Completion;
use crate::queue::Queue;
use crate::regs::VECTOR_AEQ;
use crate::regs::VECTOR_EQ;
use crate::regs::function as fb;
use crate::silicon::Silicon;

/// Types of asynchronous events, bits 20:17 (source: `QM_EQ_OVERFLOW`, `QM_CQE_ERROR` in `qm.c`).
const AEQE_EQ_OVERFLOW: u32 = 1 << 17;
const AEQE_CQE_ERROR: u32 = 2 << 17;

/// Whether requests are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Requests are fetched.
    Running,
    /// No more requests are fetched, but some are in flight.
    Pausing,
    /// No more requests are fetched, and none is in flight.
    Paused,
}

/// Duration of a write-back that takes time: a fraction of the millisecond that drivers wait for it.
const WRITE_BACK_NS: u64 = 200_000;

/// Progress of a write-back of the cached contexts; `QM_CACHE_WB_DONE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteBack {
    Done,
    /// It completes at this time.
    Due(u64),
    /// A fault keeps it from completing.
    Never,
}

impl WriteBack {
    pub(crate) fn is_done(self) -> bool {
        self == Self::Done
    }

    fn due_ns(self) -> Option<u64> {
        match self {
            Self::Due(due_ns) => Some(due_ns),
            Self::Done | Self::Never => None,
        }
    }
}

/// Properties of the device that a function needs to work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share<'a> {
    /// Number of queues of the function.
    pub(crate) queues: u16,
    pub(crate) engine: &'a dyn Engine,
    pub(crate) latency_ns: u64,
    pub(crate) silicon: Silicon,
}

/// State of one function.
#[derive(Debug)]
pub(crate) struct Function {
    run: Run,
    /// Whether a context or a table was set since the last reset.
    configured: bool,
    pub(crate) eq: EventQueue,
    pub(crate) aeq: EventQueue,
    sqc_table: u64,
    cqc_table: u64,
    queues: Vec<Queue>,
    pub(crate) mailbox: Mailbox,
    pub(crate) writeback: WriteBack,
    /// `QM_VF_STATE`.
    pub(crate) vf_state: u32,
    /// Lower half of a doorbell that is written in two halves.
    pub(crate) half_doorbell: u32,
    /// Registers that only store the value written.
    pub(crate) plain: BTreeMap<u64, u32>,
}

impl Function {
    pub(crate) fn new(total_qps: u16) -> Self {
        Self {
            run: Run::Running,
            configured: false,
            eq: EventQueue::new(),
            aeq: EventQueue::new(),
            sqc_table: 0,
            cqc_table: 0,
            queues: (0..total_qps).map(|_| Queue::default()).collect(),
            mailbox: Mailbox::default(),
            writeback: WriteBack::Done,
            vf_state: 1,
            half_doorbell: 0,
            plain: BTreeMap::new(),
        }
    }

    /// Performs a function level reset: all state is lost except for what `silicon` preserves, and nothing is written
    /// to memory.
    pub(crate) fn reset(&mut self, bus: &mut Bus<'_>, silicon: Silicon) {
        let lost: usize = self.queues.iter().map(Queue::in_flight).sum();
        bus.counters.requests_in_flight =
            bus.counters.requests_in_flight.saturating_sub(lost as u64);
        let (vf_state, db_drop) = (self.vf_state, self.plain.get(&fb::FUN_DB_DROP).copied());
        *self = Self::new(self.queues.len() as u16);
        if silicon.contains(Silicon::VF_STATE_RESETS_TO_READY) {
            self.vf_state = 0;
        }
        if silicon.contains(Silicon::FLR_KEEPS_VF_STATE) {
            self.vf_state = vf_state;
        }
        if let (true, Some(value)) = (silicon.contains(Silicon::FLR_KEEPS_DB_DROP), db_drop) {
            self.plain.insert(fb::FUN_DB_DROP, value);
        }
    }

    /// Returns whether EQC and AEQC may be restored, i.e. no event can be reported through them.
    pub(crate) fn may_restore(&self) -> bool {
        self.run == Run::Paused || !self.configured
    }

    /// Returns whether `QM_VF_STATE` shows that the driver of the function is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.vf_state & 1 == 0
    }

    /// V5: returns whether the function's doorbells have no effect.
    pub(crate) fn drops_doorbells(&self) -> bool {
        self.plain
            .get(&fb::FUN_DB_DROP)
            .is_some_and(|value| value & 1 != 0)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.queues.iter().map(Queue::in_flight).sum()
    }

    /// Returns when the next request in flight or the write-back completes.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        let requests = self.queues.iter().filter_map(Queue::due_ns);
        requests.chain(self.writeback.due_ns()).min()
    }

    /// Sends the interrupts that are due, unless the function is paused.
    pub(crate) fn notify(&mut self, bus: &mut Bus<'_>, silicon: Silicon) {
        let suppressed = match self.run {
            Run::Running => false,
            Run::Pausing => silicon.contains(Silicon::PAUSE_SUPPRESSES_EVENTS),
            Run::Paused => true,
        };
        if !suppressed {
            self.eq.notify(bus, VECTOR_EQ);
            self.aeq.notify(bus, VECTOR_AEQ);
        }
    }

    /// Finishes the requests that are due and fetches as many as there is room for.
    pub(crate) fn work(&mut self, bus: &mut Bus<'_>, share: Share<'_>) {
        let now_ns = bus.now_ns();
        for number in 0..self.queues.len() as u16 {
            let mut touched = false;
            while self
                .queue(number)
                .and_then(|queue| queue.due_ns())
                .is_some_and(|due| due <= now_ns)
            {
                touched = true;
                self.complete(bus, share, number);
            }
            if touched {
                self.fetch(bus, share, number);
            }
        }
        if self.writeback.due_ns().is_some_and(|due| due <= now_ns) {
            self.write_back(bus);
        }
        self.notify(bus, share.silicon);
    }

    fn queue(&mut self, number: u16) -> Option<&mut Queue> {
        self.queues.get_mut(usize::from(number))
    }

    fn complete(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        let Some(queue) = self.queue(number) else {
            return;
        };
        match queue.complete(bus, share.engine, number) {
            Ok(Completion::Silent) => {}
            Ok(Completion::Event) => self.event(bus, share, number),
            Err(DmaFault { .. }) => self.queue_error(bus, share, number),
        }
    }

    fn fetch(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        if number >= share.queues {
            return;
        }
        let Some(queue) = self.queue(number) else {
            return;
        };
        if queue.fetch(bus, share.engine, share.latency_ns).is_err() {
            self.queue_error(bus, share, number);
        }
    }

    /// Reports a completion and disarms the queue.
    fn event(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        if let Some(cqc) = self.queue(number).and_then(Queue::cqc_mut) {
            cqc.set_armed(false);
        }
        if self.eq.push(bus, u32::from(number)) == Err(EventError::Full) {
            self.asynchronous_event(bus, share, AEQE_EQ_OVERFLOW);
        }
    }

    fn queue_error(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        self.asynchronous_event(bus, share, AEQE_CQE_ERROR | u32::from(number));
    }

    /// Reports an asynchronous event. If that fails, the event is lost, because there is no other way to report it.
    fn asynchronous_event(&mut self, bus: &mut Bus<'_>, share: Share<'_>, event: u32) {
        if self.aeq.push(bus, event).is_ok() {
            self.notify(bus, share.silicon);
        }
    }

    /// Starts a write-back of the cached contexts.
    pub(crate) fn begin_write_back(&mut self, bus: &mut Bus<'_>, silicon: Silicon) {
        if silicon.contains(Silicon::WRITE_BACK_TAKES_TIME) {
            self.writeback = WriteBack::Due(bus.now_ns().saturating_add(WRITE_BACK_NS));
        } else {
            self.write_back(bus);
        }
    }

    /// Writes the cached contexts to their tables.
    fn write_back(&mut self, bus: &mut Bus<'_>) {
        self.writeback = WriteBack::Done;
        for (number, queue) in (0_u64..).zip(&self.queues) {
            let offset = number * CONTEXT_BYTES as u64;
            if let (Some(sqc), true) = (queue.sqc(), self.sqc_table != 0) {
                let _ = bus.write(self.sqc_table.wrapping_add(offset), &sqc.to_bytes());
            }
            if let (Some(cqc), true) = (queue.cqc(), self.cqc_table != 0) {
                let _ = bus.write(self.cqc_table.wrapping_add(offset), &cqc.to_bytes());
            }
        }
    }

    /// Stops fetching. Requests in flight continue.
    pub(crate) fn begin_pause(&mut self) {
        if self.run == Run::Running {
            self.run = Run::Pausing;
        }
        for queue in &mut self.queues {
            queue.hold(true);
        }
    }
}

fn read_context(bus: &mut Bus<'_>, address: u64) -> Result<[u8; CONTEXT_BYTES], DmaFault> {
    let mut bytes = [0; CONTEXT_BYTES];
    bus.read(address, &mut bytes)?;
    Ok(bytes)
}
