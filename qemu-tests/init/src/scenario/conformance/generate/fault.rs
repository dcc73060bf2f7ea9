// SPDX-License-Identifier: GPL-2.0

//! Faults of the model.

use super::Generator;
use crate::scenario::conformance::step::{DebugFile, Fault, Step};

/// Commands of the mailbox that the drivers use, as the model names them.
const COMMANDS: [&str; 4] = ["pause-qm", "sqc-bt", "cqc-bt", "sqc-vft"];

/// Registers that the drivers use, as the model names them.
const REGISTERS: [&str; 15] = [
    "aeq-int-mask",
    "eq-int-mask",
    "ifc-int-source",
    "ifc-int-mask",
    "ifc-int-status",
    "ifc-int-set",
    "que-iso-cfg",
    "page-size",
    "vf-state",
    "vf-state",
    "cache-wb-done",
    "eqc-dw0",
    "eqc-dw1",
    "eqc-dw6",
    "aeqc-dw2",
];

impl Generator {
    pub(super) fn fault(&mut self) {
        let fault = if self.fault && !self.once_in(4) {
            Fault::None
        } else {
            // Those that a driver waits for with many looks are seldom.
            match self.rng.u32(..40) {
                0 => Fault::MailboxTimeout(Some(self.one_of(&COMMANDS))),
                1 if self.once_in(4) => Fault::MailboxTimeout(None),
                2 | 3 => Fault::TableNever,
                4..12 => {
                    let status = self.rng.u8(1..=15);
                    Fault::MailboxStatus(status, Some(self.one_of(&COMMANDS)))
                }
                12..18 => Fault::WriteBackNever,
                18..24 => Fault::VfBusy,
                24..32 => Fault::Abnormal(1 << self.rng.u32(..15)),
                32 => Fault::Core(1 << self.rng.u32(..15)),
                _ => {
                    let value = self.one_of(&[None, Some(0), Some(1), Some(2)]);
                    Fault::Stuck(self.one_of(&REGISTERS), value)
                }
            }
        };
        self.set_fault(fault);
        if self.fault && self.once_in(2) {
            self.steps.push(Step::Debug(DebugFile::DevData));
        }
    }

    pub(super) fn set_fault(&mut self, fault: Fault) {
        self.fault = fault != Fault::None;
        self.steps.push(Step::Fault(fault));
    }
}
