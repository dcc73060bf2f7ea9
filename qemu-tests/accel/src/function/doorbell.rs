// SPDX-License-Identifier: GPL-2.0

//! Doorbells: requests, completions and events taken, restart.

use super::Function;
use super::Run;
use super::Share;
use super::read_context;
use crate::bus::Bus;
use crate::context::CONTEXT_BYTES;
use crate::queue::Queue;
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
}

impl Function {
    /// A doorbell of any kind.
    pub(crate) fn doorbell(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) {
        let fits = match (bell.command, bell.priority) {
            (0 | 1, _) if share.queues != 0 && bell.queue >= share.queues => false,
            (0, 0) => self.submit(bus, share, bell),
            (0, _) => self.restart(bus, share, bell.queue),
            (1, _) => self.consume(bus, share, bell),
            (2, _) => self.eq.acknowledge(bell.index),
            (3, _) => self.aeq.acknowledge(bell.index),
            _ => false,
        };
        if !fits {
            bus.violation(Violation::Number, &format!("{bell:?}"));
        }
        self.notify(bus);
    }

    fn is_stopped(&mut self, number: u16) -> bool {
        self.queue(number).is_some_and(|queue| queue.held())
    }

    fn submit(&mut self, bus: &mut Bus<'_>, share: Share<'_>, bell: Doorbell) -> bool {
        let Some(fits) = self
            .queue(bell.queue)
            .and_then(|queue| queue.submit(bell.index))
        else {
            bus.counters.doorbells_dropped += 1;
            return true;
        };
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

    /// Makes up for what the queue could not do before.
    fn report_and_fetch(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) {
        if self.is_stopped(number) {
            return;
        }
        let waiting = self
            .queue(number)
            .and_then(|queue| queue.cqc())
            .is_some_and(|cqc| cqc.is_armed() && cqc.used() != 0);
        if waiting {
            self.event(bus, number);
        }
        self.fetch(bus, share, number);
    }

    /// The restart doorbell: an SQ doorbell with a priority. It ends a pause for the queue it names and loads the
    /// queue's contexts from the tables, unless they are cached.
    fn restart(&mut self, bus: &mut Bus<'_>, share: Share<'_>, number: u16) -> bool {
        match self.run {
            Run::Pausing => return true,
            Run::Paused | Run::Running => self.run = Run::Running,
        }
        let offset = u64::from(number) * CONTEXT_BYTES as u64;
        let (sqc_table, cqc_table) = (self.sqc_table, self.cqc_table);
        let Some(queue) = self.queue(number) else {
            return true;
        };
        queue.hold(false);
        // A queue that the driver never made has a table entry of zeroes and stays without context.
        if queue.sqc().is_none() && sqc_table != 0 {
            if let Ok(bytes) = read_context(bus, sqc_table.wrapping_add(offset)) {
                queue.give_sqc(share.engine, number, &bytes);
            }
        }
        if queue.cqc().is_none() && cqc_table != 0 {
            if let Ok(bytes) = read_context(bus, cqc_table.wrapping_add(offset)) {
                queue.give_cqc(&bytes);
            }
        }
        self.report_and_fetch(bus, share, number);
        true
    }
}
