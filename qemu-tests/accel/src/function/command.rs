// SPDX-License-Identifier: GPL-2.0

//! Mailbox commands that affect a single function.

use super::Function;
use super::Run;
use super::Share;
use super::read_context;
use crate::bus::Bus;
use crate::host::DmaFault;
use crate::mailbox::Command;
use crate::mailbox::Opcode;
use crate::mailbox::Status;
use crate::queue::Queue;
use crate::silicon::Silicon;
use crate::violation::Violation;

/// Progress of a mailbox command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for requests in flight.
    Waiting,
    /// It has completed; data for words 1 and 2.
    Done(Option<u64>),
    /// It failed.
    Failed(Status),
}

impl Function {
    /// Executes a mailbox command that affects this function only.
    pub(crate) fn command(
        &mut self,
        bus: &mut Bus<'_>,
        opcode: Opcode,
        command: Command,
        share: Share<'_>,
    ) -> Progress {
        let queues = share.queues;
        let per_queue = matches!(opcode, Opcode::Sqc | Opcode::Cqc | Opcode::StopQueue);
        if per_queue && command.queue >= queues {
            bus.violation(
                Violation::Number,
                &format!("{} of queue {} of {queues}", opcode.name(), command.queue),
            );
            return Progress::Failed(Status::Number);
        }
        match (opcode, command.read) {
            (Opcode::Sqc | Opcode::Cqc | Opcode::Eqc | Opcode::Aeqc, true) => {
                self.read_out(bus, opcode, command)
            }
            (Opcode::Sqc | Opcode::Cqc | Opcode::Eqc | Opcode::Aeqc, false) => {
                self.give(bus, opcode, command, share)
            }
            (Opcode::SqcTable, true) => Progress::Done(Some(self.sqc_table)),
            (Opcode::CqcTable, true) => Progress::Done(Some(self.cqc_table)),
            (Opcode::SqcTable, false) => {
                self.configured = true;
                self.sqc_table = command.data;
                self.forget(bus, Queue::drop_sqc)
            }
            (Opcode::CqcTable, false) => {
                self.configured = true;
                self.cqc_table = command.data;
                self.forget(bus, Queue::drop_cqc)
            }
            (Opcode::StopQueue, false) => self.stop_queue(command.queue),
            (Opcode::Flush, false) => self.flush(),
            (Opcode::Pause, false) => self.pause(share),
            _ => {
                bus.violation(
                    Violation::MailboxCommand,
                    &format!("{} in the wrong direction", opcode.name()),
                );
                Progress::Failed(Status::Command)
            }
        }
    }

    fn forget(&mut self, bus: &mut Bus<'_>, what: fn(&mut Queue)) -> Progress {
        let before = self.in_flight();
        self.queues.iter_mut().for_each(what);
        let lost = before.saturating_sub(self.in_flight()) as u64;
        bus.counters.requests_in_flight = bus.counters.requests_in_flight.saturating_sub(lost);
        Progress::Done(None)
    }

    fn stop_queue(&mut self, number: u16) -> Progress {
        let Some(queue) = self.queue(number) else {
            return Progress::Failed(Status::Number);
        };
        if !queue.is_drained() {
            return Progress::Waiting;
        }
        queue.drop_sqc();
        queue.drop_cqc();
        Progress::Done(None)
    }

    fn flush(&mut self) -> Progress {
        if self.queues.iter().all(Queue::is_drained) {
            Progress::Done(None)
        } else {
            Progress::Waiting
        }
    }

    fn pause(&mut self, share: Share<'_>) -> Progress {
        self.begin_pause();
        if self.in_flight() != 0 {
            return Progress::Waiting;
        }
        self.run = Run::Paused;
        if share.silicon.contains(Silicon::PAUSE_SUPPRESSES_EVENTS) {
            self.eq.silence();
            self.aeq.silence();
        }
        Progress::Done(None)
    }

    fn read_out(&mut self, bus: &mut Bus<'_>, opcode: Opcode, command: Command) -> Progress {
        let queue = self.queues.get(usize::from(command.queue));
        let bytes = match opcode {
            Opcode::Sqc => queue.and_then(Queue::sqc).map(|sqc| sqc.to_bytes()),
            Opcode::Cqc => queue.and_then(Queue::cqc).map(|cqc| cqc.to_bytes()),
            Opcode::Eqc => Some(self.eq.to_bytes()),
            _ => Some(self.aeq.to_bytes()),
        };
        // A queue without context reads as zeroes.
        match bus.write(command.data, &bytes.unwrap_or_default()) {
            Ok(()) => Progress::Done(None),
            Err(DmaFault { .. }) => Progress::Failed(Status::Dma),
        }
    }

    fn give(
        &mut self,
        bus: &mut Bus<'_>,
        opcode: Opcode,
        command: Command,
        share: Share<'_>,
    ) -> Progress {
        let Ok(bytes) = read_context(bus, command.data) else {
            return Progress::Failed(Status::Dma);
        };
        self.configured = true;
        match opcode {
            Opcode::Eqc => {
                // A driver that starts the function from scratch begins with this command.
                if !share.silicon.contains(Silicon::PAUSE_OUTLASTS_DRIVER_START) {
                    self.run = Run::Running;
                }
                self.forget(bus, |queue| *queue = Queue::default());
                self.eq.load(&bytes);
                return Progress::Done(None);
            }
            Opcode::Aeqc => {
                self.aeq.load(&bytes);
                return Progress::Done(None);
            }
            _ => {}
        }
        let before = self.in_flight();
        let stopped = self.run != Run::Running;
        let usable = self.queue(command.queue).is_some_and(|queue| {
            queue.hold(stopped);
            if opcode == Opcode::Sqc {
                queue.give_sqc(share.engine, command.queue, &bytes)
            } else {
                queue.give_cqc(&bytes)
            }
        });
        let lost = before.saturating_sub(self.in_flight()) as u64;
        bus.counters.requests_in_flight = bus.counters.requests_in_flight.saturating_sub(lost);
        if usable {
            return Progress::Done(None);
        }
        bus.violation(
            Violation::Number,
            &format!("{} of queue {} is unusable", opcode.name(), command.queue),
        );
        Progress::Failed(Status::Number)
    }
}
