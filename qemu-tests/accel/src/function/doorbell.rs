// SPDX-License-Identifier: GPL-2.0

//! Doorbells: submitted requests, acknowledged completions and events, restart.

use super::Function;
use super::Run;
use super::Share;
use super::read_context;
use crate::bus::Bus;
use crate::context::CONTEXT_BYTES;
use crate::queue::Queue;
use crate::regs::VECTOR_AEQ;
use crate::regs::VECTOR_EQ;
use crate::regs::pf;
use crate::silicon::Silicon;
use crate::violation::Violation;

/// A write to the doorbell registers: bits 10:0 queue, 15:12 command, 47:32 index, 63:48 priority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doorbell {
    queue: u16,
    command: u8,
    index: u16,
    priority: u16,
}

impl Doorbell {
    pub(crate) const fn decode(value: u64) -> Self {
        Self {
            queue: (value & 0x7ff) as u16,
            command: (value >> 12 & 0xf) as u8,
            index: (value >> 32) as u16,
            priority: (value >> 48) as u16,
        }
    }

    pub(crate) const fn is_restart(self) -> bool {
        self.command == 0 && self.priority != 0
    }
}

impl Function {
    /// Processes a doorbell of any kind.
    pub(crate) fn doorbell(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) {
        let fits = match (bell.command, bell.priority) {
            (0 | 1, _) if share.queues != 0 && bell.queue >= share.queues => false,
            (0, 0) => self.submit(bus, share, bell),
            (0, _) => self.restart(bus, share, bell.queue),
            (1, _) => self.consume(bus, share, bell),
            (2 | 3, _) => self.acknowledge(bus, share, bell),
            _ => false,
        };
        if !fits {
            bus.violation(Violation::Number, &format!("{bell:?}"));
        }
        self.notify(bus, share.silicon);
    }

    /// Processes an EQ or AEQ doorbell.
    fn acknowledge(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) -> bool {
        let (ring, vector) = if bell.command == 2 {
            (&mut self.eq, VECTOR_EQ)
        } else {
            (&mut self.aeq, VECTOR_AEQ)
        };
        let fits = ring.acknowledge(bell.index);
        if share.silicon.contains(Silicon::PAUSED_DOORBELL_INTERRUPTS) {
            ring.notify(bus, vector);
        }
        fits
    }

    fn is_stopped(&mut self, number: u16) -> bool {
        self.queue(number).is_some_and(|queue| queue.held())
    }

    /// Restarts a paused queue when the driver of the function rings its doorbell, if `silicon` says that the hardware
    /// does so.
    fn wake(&mut self, share: Share<'_>, number: u16) {
        let wakes = share
            .silicon
            .contains(Silicon::PAUSE_ENDS_BY_GUEST_DOORBELL);
        if wakes && self.run == Run::Paused {
            self.run = Run::Running;
        }
        if wakes && self.run == Run::Running {
            if let Some(queue) = self.queue(number) {
                queue.hold(false);
            }
        }
    }

    fn submit(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) -> bool {
        let Some(fits) = self
            .queue(bell.queue)
            .and_then(|queue| queue.submit(bell.index))
        else {
            bus.counters.doorbells_dropped += 1;
            return true;
        };
        self.wake(share, bell.queue);
        if self.is_stopped(bell.queue) {
            bus.violation(
                Violation::DmaAfterPause,
                &format!("request in queue {}", bell.queue),
            );
        } else {
            self.fetch(bus, share, bell.queue);
        }
        fits
    }

    fn consume(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) -> bool {
        self.wake(share, bell.queue);
        let Some(cqc) = self.queue(bell.queue).and_then(Queue::cqc_mut) else {
            bus.counters.doorbells_dropped += 1;
            return true;
        };
        if bell.index >= cqc.depth() {
            return false;
        }
        cqc.set_head(bell.index);
        if bell.priority != 0 {
            cqc.set_armed(true);
            if cqc.used() != 0 && self.is_stopped(bell.queue) {
                bus.violation(
                    Violation::DmaAfterPause,
                    &format!("event of queue {}", bell.queue),
                );
            }
        }
        self.report_and_fetch(bus, share, bell.queue);
        true
    }

    /// Reports completions and fetches requests that the queue could not handle before.
    fn report_and_fetch(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        if self.is_stopped(number) {
            return;
        }
        let waiting = self
            .queue(number)
            .and_then(|queue| queue.cqc())
            .is_some_and(|cqc| cqc.is_armed() && cqc.used() != 0);
        if waiting {
            self.event(bus, share, number);
        }
        self.fetch(bus, share, number);
    }

    /// Processes the restart doorbell, an SQ doorbell with a priority. It ends a pause for the queue that it names and
    /// loads the queue's contexts from the tables, unless they are cached.
    fn restart(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) -> bool {
        match self.run {
            Run::Pausing => return true,
            Run::Paused | Run::Running => self.run = Run::Running,
        }
        self.load_contexts(bus, share, number);
        if let Some(queue) = self.queue(number) {
            queue.hold(false);
            self.report_and_fetch(bus, share, number);
        }
        if share.silicon.contains(Silicon::RESTART_RESUMES_ALL_QUEUES) {
            for number in 0..self.queues.len() as u16 {
                if self.is_stopped(number) {
                    self.queues[usize::from(number)].hold(false);
                    self.report_and_fetch(bus, share, number);
                }
            }
        }
        true
    }

    /// Loads the contexts of a queue from the tables. A queue that the driver never created has a table entry of zeroes
    /// and stays without context.
    fn load_contexts(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        let offset = u64::from(number) * CONTEXT_BYTES as u64;
        let (sqc_table, cqc_table) = (self.sqc_table, self.cqc_table);
        let Some(queue) = self.queue(number) else {
            return;
        };
        if queue.held() && share.silicon.contains(Silicon::RESTART_RELOADS_CONTEXTS) {
            queue.drop_sqc();
            queue.drop_cqc();
        }
        if queue.sqc().is_none() {
            if let Some(bytes) = table_entry(bus, share, sqc_table, offset) {
                queue.give_sqc(share.engine, number, &bytes);
            }
        }
        if queue.cqc().is_none() {
            if let Some(bytes) = table_entry(bus, share, cqc_table, offset) {
                queue.give_cqc(&bytes);
            }
        }
    }
}

/// Reads a context from a table. Notifies the PF if the read fails and `silicon` makes that an error.
fn table_entry(
    bus: &mut Bus<'_>,
    share: Share<'_>,
    table: u64,
    offset: u64,
) -> Option<[u8; CONTEXT_BYTES]> {
    let (errors, error) = if table == 0 {
        (Silicon::RESTART_WITHOUT_TABLE_IS_ERROR, pf::DB_TIMEOUT)
    } else {
        (
            Silicon::REFUSED_CONTEXT_READ_IS_ERROR,
            pf::DB_TIMEOUT | pf::AXI_RRESP,
        )
    };
    let read = (table != 0).then(|| read_context(bus, table.wrapping_add(offset)));
    if let Some(Ok(bytes)) = read {
        return Some(bytes);
    }
    if share.silicon.contains(errors) {
        bus.error(error);
    }
    None
}
