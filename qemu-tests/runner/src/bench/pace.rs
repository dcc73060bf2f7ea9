// SPDX-License-Identifier: GPL-2.0

//! How long the device takes for what the driver waits for.

use crate::Machine;

/// How long the device takes, in ns.
pub(super) struct Pace {
    pub(super) name: &'static str,
    pub(super) register_ns: u64,
    pub(super) mailbox_ns: u64,
}

/// Nothing is waited for, so that time is instructions.
pub(super) const PROMPT: Pace = Pace {
    name: "prompt",
    register_ns: 0,
    mailbox_ns: 0,
};

/// As a board may be: a read goes to the device and back, a mailbox command makes the device read
/// or write a context in memory.
pub(super) const BOARD: Pace = Pace {
    name: "board",
    register_ns: 1_000,
    mailbox_ns: 20_000,
};

impl Pace {
    pub(super) fn of(&self, machine: Machine) -> Machine {
        machine
            .property("register-ns", &self.register_ns.to_string())
            .property("mailbox-ns", &self.mailbox_ns.to_string())
    }
}
