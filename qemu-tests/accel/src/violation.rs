// SPDX-License-Identifier: GPL-2.0

//! Counts the things that a driver must not do.

use std::collections::VecDeque;

use serde_json::Map;
use serde_json::Value;

use crate::host::FunctionId;

/// How many violations are described in the log; all of them are counted.
const LOG_LENGTH: usize = 32;

/// Something that no correct driver does.
///
/// The device sees register accesses but not their origin: a guest and its host reach the same VF through the same BAR.
/// So every kind is a statement about the order and the values of accesses, and is valid no matter which side is to
/// blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Violation {
    /// EQC or AEQC was written while the function was running.
    ///
    /// Restoring them moves the rings in which the device reports events. That is correct only while no event can be
    /// reported: between PAUSE and restart, or after a reset until the first context is set. A paused function whose
    /// last requests are still in flight counts as running.
    MigrationWriteWhileRunning,
    /// A mailbox was written while its last command was being executed, or half of a command was overwritten by another
    /// command.
    ///
    /// The result of the first command is lost or mistaken for that of the second one. The new command is not executed.
    MailboxWhileBusy,
    /// A mailbox command that does not exist, or is not valid for this kind of function or in this direction.
    MailboxCommand,
    /// A queue number outside of the function's range, a function number outside of the device's range, a ring index
    /// that exceeds the ring's depth, an assignment of more queues than the device has, an invalid context, or a
    /// doorbell command that does not exist.
    Number,
    /// A doorbell requested that a paused queue fetch a request or report an event.
    ///
    /// The memory behind its addresses may be in the middle of a transfer to another machine. The device does nothing
    /// until the restart doorbell, and then catches up.
    DmaAfterPause,
    /// An access to a part of the BAR that has no registers, or a write across the start of a V4 migration window,
    /// where the doorbell of the previous window does not exist.
    OutsideWindow,
    /// A write of 1, 2 or 8 bytes to 32-bit registers. Writes of 1 and 2 bytes are dropped.
    AccessWidth,
    /// Two transactions on the function table overlapped.
    ///
    /// The registers for operation, type, function and data are shared by all drivers of the device. A register that is
    /// written twice before the transaction is started, a transaction that is started with registers missing, and one
    /// that is prepared before the result of the last one has been read, each indicate two agents or a broken one.
    VftInterleaved,
    /// The IOMMU or the memory system rejected an address that a driver had supplied.
    DmaFault,
}

impl Violation {
    /// All kinds, in numerical order.
    pub const ALL: [Self; 9] = [
        Self::MigrationWriteWhileRunning,
        Self::MailboxWhileBusy,
        Self::MailboxCommand,
        Self::Number,
        Self::DmaAfterPause,
        Self::OutsideWindow,
        Self::AccessWidth,
        Self::VftInterleaved,
        Self::DmaFault,
    ];

    /// Returns the name of this kind in the `violations` property.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MigrationWriteWhileRunning => "migration-write-while-running",
            Self::MailboxWhileBusy => "mailbox-while-busy",
            Self::MailboxCommand => "mailbox-command",
            Self::Number => "number",
            Self::DmaAfterPause => "dma-after-pause",
            Self::OutsideWindow => "outside-window",
            Self::AccessWidth => "access-width",
            Self::VftInterleaved => "vft-interleaved",
            Self::DmaFault => "dma-fault",
        }
    }
}

/// Counters of all kinds, and descriptions of the most recent violations.
#[derive(Debug, Default)]
pub struct Violations {
    counts: [u64; Violation::ALL.len()],
    log: VecDeque<String>,
}

impl Violations {
    /// Returns how often `kind` occurred.
    #[must_use]
    pub fn count(&self, kind: Violation) -> u64 {
        self.counts[kind as usize]
    }

    /// Returns how often any kind occurred.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns a JSON object that maps the name of every kind to its count.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object: Map<String, Value> = Violation::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), self.count(*kind).into()))
            .collect();
        Value::Object(object).to_string()
    }

    /// Returns descriptions of the last 32 violations, one per line, oldest first.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = String::new();
        for line in &self.log {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Resets the counters and clears the log.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn record(&mut self, kind: Violation, function: FunctionId, detail: &str) {
        self.counts[kind as usize] += 1;
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log
            .push_back(format!("{}: fn{function}: {detail}", kind.name()));
    }
}
