// SPDX-License-Identifier: GPL-2.0

//! The VM's work on its function.

use std::time::Duration;

use anyhow::{Context, Result};
use vm::qm::registers::{self, Command};

use super::DriverUnderTest;
use crate::expect::equal;
use crate::scenario::conformance::observation::{Answer, Value, answer_of_many};
use crate::scenario::conformance::step::Step;

/// Requests of one [`Step::Work`], and how long they are waited for.
const REQUESTS: usize = 4;
const PATIENCE: Duration = Duration::from_millis(20);

impl DriverUnderTest {
    /// Sees that a driver in the VM gets work out of the device: what neither device does is the
    /// same on both, too.
    pub(in super::super) fn try_out(&mut self) -> Result<()> {
        self.open()?;
        let up = self.answer_of_vm(&Step::BringUp);
        let work = self.answer_of_vm(&Step::Work);
        self.close();
        let all = Value::Numbers(vec![REQUESTS as u64, 0, 0]);
        equal("work that was done", work, Ok(all)).with_context(|| format!("bringing up: {up:?}"))
    }

    /// What the driver in the VM does. It waits for a device that does not answer and says so in
    /// words.
    pub(super) fn answer_of_vm(&mut self, step: &Step) -> Answer {
        match step {
            Step::BringUp => {
                self.lost();
                let up = self.vm.bring_up();
                self.up = up.is_ok();
                answer_of_many(up, |queues| Value::Number(queues.into()))
            }
            Step::ShutDown if self.up => {
                let down = self.vm.shut_down();
                self.lost();
                answer_of_many(down, |()| Value::Done)
            }
            Step::Work if self.up => {
                let before = self.vm.counts();
                let submitted = self.vm.submit(REQUESTS);
                // That not all are done is what is to be seen.
                let _ = self.vm.run_until(0, PATIENCE);
                let after = self.vm.counts();
                answer_of_many(submitted, |()| {
                    Value::Numbers(vec![
                        after.completed - before.completed,
                        after.duplicates - before.duplicates,
                        after.wrong - before.wrong,
                    ])
                })
            }
            Step::Tables => {
                let read = |command| registers::mailbox_read(&self.registers.block, command, 0);
                let tables = read(Command::SqcTable)
                    .and_then(|submission| Ok((submission, read(Command::CqcTable)?)));
                answer_of_many(tables, |(submission, completion)| {
                    Value::Numbers(vec![submission, completion])
                })
            }
            _ => Ok(Value::Nothing),
        }
    }
}
