// SPDX-License-Identifier: GPL-2.0

//! Dispatches commands from the mailbox register to the part of the device that executes them.

use super::Device;
use crate::function::Progress;
use crate::host::FunctionId;
use crate::host::Host;
use crate::mailbox::Command;
use crate::mailbox::Opcode;
use crate::mailbox::Status;
use crate::mailbox::Written;
use crate::message::Way;
use crate::violation::Violation;

impl Device {
    pub(super) fn write_mailbox(
        &mut self,
        host: &mut dyn Host,
        number: FunctionId,
        index: usize,
        value: u32,
    ) {
        let due_ns = host.now_ns().saturating_add(self.config.mailbox_ns);
        let revision = self.config.revision;
        self.advance_mailbox(host, number);
        let Some(function) = self.functions.get_mut(usize::from(number)) else {
            return;
        };
        match function.mailbox.write(index, value, due_ns) {
            Written::Partly => {}
            Written::Collision => {
                self.bus(host, number).violation(
                    Violation::MailboxWhileBusy,
                    &format!("word {index} is {value:#x}"),
                );
            }
            Written::Sent(command) => {
                let disturbed = self.faults.mailbox_timeout(number, command.opcode)
                    || self.faults.mailbox_status(number, command.opcode).is_some();
                let pauses =
                    command.opcode == Some(Opcode::Pause) && Opcode::Pause.since() <= revision;
                if pauses && !command.read && !disturbed {
                    function.begin_pause();
                }
                if let (Some(opcode), Some(counters)) =
                    (command.opcode, self.counters.function(number))
                {
                    *counters.mailbox.entry(opcode).or_default() += 1;
                }
                self.rearm(host);
            }
        }
    }

    /// Ends the command in a mailbox, if it is ready to end.
    pub(super) fn advance_mailbox(&mut self, host: &mut dyn Host, number: FunctionId) {
        let Some((command, due_ns)) = self
            .functions
            .get(usize::from(number))
            .and_then(|function| function.mailbox.current())
        else {
            return;
        };
        if host.now_ns() < due_ns || self.faults.mailbox_timeout(number, command.opcode) {
            return;
        }
        let (status, data) = match self.faults.mailbox_status(number, command.opcode) {
            Some(status) => (status, None),
            None => match self.execute(host, number, command) {
                Progress::Waiting => return,
                Progress::Done(data) => (0, data),
                Progress::Failed(status) => (status as u8, None),
            },
        };
        if let Some(function) = self.functions.get_mut(usize::from(number)) {
            function.mailbox.finish(status, data);
        }
    }

    fn execute(&mut self, host: &mut dyn Host, number: FunctionId, command: Command) -> Progress {
        let known = command
            .opcode
            .filter(|opcode| opcode.since() <= self.config.revision);
        let Some(opcode) = known else {
            self.bus(host, number)
                .violation(Violation::MailboxCommand, "no such command");
            return Progress::Failed(Status::Command);
        };
        let done = match (opcode, command.read) {
            (Opcode::Vft, true) => Some(Some(self.vft.queue_entry(number))),
            (Opcode::MessageSend, false) => self
                .messages
                .send(number, command.queue, command.data, self.silicon)
                .then_some(None),
            (Opcode::MessageFetch, true) => self
                .messages
                .fetch(Way::Mailbox, number, command.queue)
                .map(Some),
            (Opcode::Vft | Opcode::MessageSend | Opcode::MessageFetch, _) => {
                self.bus(host, number).violation(
                    Violation::MailboxCommand,
                    &format!("{} in the wrong direction", opcode.name()),
                );
                return Progress::Failed(Status::Command);
            }
            _ => {
                return self
                    .with(host, number, |function, bus, share| {
                        function.command(bus, opcode, command, share)
                    })
                    .unwrap_or(Progress::Failed(Status::Number));
            }
        };
        done.map_or_else(
            || {
                self.bus(host, number).violation(
                    Violation::Number,
                    &format!("{} of function {}", opcode.name(), command.queue),
                );
                Progress::Failed(Status::Number)
            },
            Progress::Done,
        )
    }
}
