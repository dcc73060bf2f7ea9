// SPDX-License-Identifier: GPL-2.0

//! A queue pair: its cached contexts and its requests in flight.

use std::collections::VecDeque;

use crate::bus::Bus;
use crate::context::CONTEXT_BYTES;
use crate::context::Cqc;
use crate::context::Sqc;
use crate::context::next_index;
use crate::engine::Engine;
use crate::engine::MAX_SQE_BYTES;
use crate::engine::Sqe;
use crate::host::DmaFault;

/// Maximum number of requests that a queue fetches before the first of them has completed.
const FETCH_DEPTH: usize = 8;
/// Number of bytes that the engine processes per nanosecond.
const BYTES_PER_NS: u64 = 4;
/// Size of a completion queue entry in bytes.
const CQE_BYTES: u64 = 16;

/// A request that has been fetched but not completed.
#[derive(Debug)]
struct Request {
    /// Its index in the submission queue.
    index: u16,
    entry: Sqe,
    due_ns: u64,
}

/// Notification that follows the completion of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    /// The driver polls.
    Silent,
    /// The driver requested an event.
    Event,
}

/// A submission queue and its completion queue, which have the same number.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    sqc: Option<Sqc>,
    cqc: Option<Cqc>,
    /// Whether the queue is paused and not restarted yet.
    held: bool,
    /// Whether an access to the memory of the rings was rejected; nothing more is fetched.
    failed: bool,
    in_flight: VecDeque<Request>,
}

impl Queue {
    pub(crate) fn sqc(&self) -> Option<&Sqc> {
        self.sqc.as_ref()
    }

    pub(crate) fn cqc(&self) -> Option<&Cqc> {
        self.cqc.as_ref()
    }

    pub(crate) fn cqc_mut(&mut self) -> Option<&mut Cqc> {
        self.cqc.as_mut()
    }

    pub(crate) fn held(&self) -> bool {
        self.held
    }

    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns when the oldest request in flight completes.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        self.in_flight.front().map(|request| request.due_ns)
    }

    /// Returns whether everything that the driver has submitted has completed, or will never complete.
    pub(crate) fn is_drained(&self) -> bool {
        let waiting = self.sqc.is_some_and(|sqc| sqc.used() != 0);
        let works = self.cqc.is_some() && !self.held && !self.failed;
        self.in_flight.is_empty() && !(waiting && works)
    }

    /// Drops the submission queue and the requests fetched from it.
    pub(crate) fn drop_sqc(&mut self) {
        self.sqc = None;
        self.failed = false;
        self.in_flight.clear();
    }

    /// Drops the completion queue.
    pub(crate) fn drop_cqc(&mut self) {
        self.cqc = None;
    }

    /// Sets the submission queue's context; returns false if the context is invalid for queue `number` or for `engine`.
    pub(crate) fn give_sqc(
        &mut self,
        engine: &dyn Engine,
        number: u16,
        bytes: &[u8; CONTEXT_BYTES],
    ) -> bool {
        let sqc = Sqc::from_bytes(bytes);
        let usable = sqc.base() != 0
            && sqc.in_range()
            && sqc.entry_bytes() == engine.entry_bytes()
            && sqc.completion_queue() == number
            && !sqc.is_closed();
        self.drop_sqc();
        self.sqc = usable.then_some(sqc);
        usable
    }

    /// Sets the completion queue's context; returns false if the context is invalid.
    pub(crate) fn give_cqc(&mut self, bytes: &[u8; CONTEXT_BYTES]) -> bool {
        let cqc = Cqc::from_bytes(bytes);
        let usable = cqc.base() != 0 && cqc.in_range();
        self.cqc = usable.then_some(cqc);
        usable
    }

    /// Called when the driver has filled the entries before `tail`. Returns `None` without a context, `Some(false)` if
    /// the ring has no such entry.
    pub(crate) fn submit(&mut self, tail: u16) -> Option<bool> {
        let sqc = self.sqc.as_mut()?;
        if tail >= sqc.depth() {
            return Some(false);
        }
        let wrapped = tail < sqc.tail();
        sqc.set_tail(tail, wrapped);
        Some(true)
    }

    /// Fetches as many requests as there is room for. An error means that the queue has failed.
    pub(crate) fn fetch(
        &mut self,
        bus: &mut Bus<'_>,
        engine: &dyn Engine,
        latency_ns: u64,
    ) -> Result<(), DmaFault> {
        if self.held || self.failed {
            return Ok(());
        }
        let (Some(sqc), Some(cqc)) = (self.sqc.as_mut(), self.cqc.as_ref()) else {
            return Ok(());
        };
        while sqc.used() != 0
            && self.in_flight.len() < FETCH_DEPTH
            && self.in_flight.len() < usize::from(cqc.room())
        {
            let index = sqc.head();
            let mut entry = [0; MAX_SQE_BYTES];
            let bytes = &mut entry[..engine.entry_bytes()];
            if let Err(fault) = bus.read(entry_address(sqc, index), bytes) {
                self.failed = true;
                return Err(fault);
            }
            let (head, _) = next_index(index, sqc.depth());
            sqc.set_head(head);
            let work_ns = u64::from(engine.payload_bytes(&entry)) / BYTES_PER_NS;
            let done_ns = bus
                .now_ns()
                .saturating_add(latency_ns)
                .saturating_add(work_ns);
            let due_ns = self
                .in_flight
                .back()
                .map_or(done_ns, |before| done_ns.max(before.due_ns));
            self.in_flight.push_back(Request {
                index,
                entry,
                due_ns,
            });
            bus.counters.requests_in_flight += 1;
        }
        Ok(())
    }

    /// Finishes the oldest request in flight: result, entry, completion. An error means that the queue has failed.
    pub(crate) fn complete(
        &mut self,
        bus: &mut Bus<'_>,
        engine: &dyn Engine,
        number: u16,
    ) -> Result<Completion, DmaFault> {
        let Some(mut request) = self.in_flight.pop_front() else {
            return Ok(Completion::Silent);
        };
        bus.counters.requests_in_flight = bus.counters.requests_in_flight.saturating_sub(1);
        let (Some(sqc), Some(cqc)) = (self.sqc.as_ref(), self.cqc.as_mut()) else {
            return Ok(Completion::Silent);
        };
        engine.process(bus, &mut request.entry, sqc.algorithm());
        let written = bus
            .write(
                entry_address(sqc, request.index),
                &request.entry[..engine.entry_bytes()],
            )
            .and_then(|()| {
                let mut entry = [0; CQE_BYTES as usize];
                entry[8..10].copy_from_slice(&request.index.to_le_bytes());
                entry[10..12].copy_from_slice(&number.to_le_bytes());
                entry[14] = cqc.phase().into();
                let offset = CQE_BYTES * u64::from(cqc.tail());
                bus.write(cqc.base().wrapping_add(offset), &entry)
            });
        if let Err(fault) = written {
            self.failed = true;
            return Err(fault);
        }
        cqc.advance();
        bus.counters.requests_done += 1;
        Ok(if cqc.is_armed() {
            Completion::Event
        } else {
            Completion::Silent
        })
    }
}

fn entry_address(sqc: &Sqc, index: u16) -> u64 {
    sqc.base()
        .wrapping_add(sqc.entry_bytes() as u64 * u64::from(index))
}
