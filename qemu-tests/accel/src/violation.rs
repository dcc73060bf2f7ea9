// SPDX-License-Identifier: GPL-2.0

//! What a driver must not do, and how often it was done.

use std::collections::VecDeque;

use serde_json::Map;
use serde_json::Value;

use crate::host::FunctionId;

/// How many violations are told in words; all are counted.
const LOG_LENGTH: usize = 32;

/// A thing no correct driver does.
///
/// The device sees register accesses and does not see who makes them: a guest and its host reach the same VF
/// through the same BAR. So every kind is a statement about the order and the values of accesses, and holds no
/// matter who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Violation {
    /// EQC or AEQC was written in a function that runs.
    ///
    /// Restoring them moves the rings on which the device is reporting events. It is right only where nothing can
    /// be reported: between PAUSE and restart, or after a reset as long as no context has been given. A paused
    /// function whose last requests are still in flight counts as running.
    MigrationWriteWhileRunning,
    /// A mailbox was written while its last command was being carried out, or half of a command was overwritten by
    /// another one's.
    ///
    /// The answer of the first command is lost or taken for the second one's. The new command is not carried out.
    MailboxWhileBusy,
    /// A mailbox command that does not exist, or not for this kind of function, or not in this direction.
    MailboxCommand,
    /// A queue number beyond the function's share, a function number beyond the device's, a ring index beyond the
    /// ring's depth, an assignment of queues beyond the total, a context that makes no sense, or a doorbell command that
    /// does not exist.
    Number,
    /// A doorbell asked a paused queue to fetch a request or to report an event.
    ///
    /// The memory behind its addresses may be on its way to another machine. The device does nothing until the
    /// restart doorbell; then it catches up.
    DmaAfterPause,
    /// An access of a part of the BAR that has no registers, or a write across the start of a V4 migration window,
    /// where the doorbell of the window before does not exist.
    OutsideWindow,
    /// A write of 1, 2 or 8 bytes to registers that are 32 bit wide. The narrow ones are dropped.
    AccessWidth,
    /// Two transactions on the function table overlapped.
    ///
    /// Operation, type, function and data are registers shared by all drivers of the device. A register written
    /// twice before the transaction is started, a transaction started with registers missing, and one prepared
    /// before the last one's answer was taken, each belong to two agents or to a broken one.
    VftInterleaved,
    /// The IOMMU or the memory system refused an address that a driver had given.
    DmaFault,
}

impl Violation {
    /// All kinds, in the order of their numbers.
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

    /// Name in the `violations` property.
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

/// Counts of all kinds, and the last few in words.
#[derive(Debug, Default)]
pub struct Violations {
    counts: [u64; Violation::ALL.len()],
    log: VecDeque<String>,
}

impl Violations {
    /// Times `kind` was seen.
    #[must_use]
    pub fn count(&self, kind: Violation) -> u64 {
        self.counts[kind as usize]
    }

    /// Times any kind was seen.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// JSON object from the name of every kind to its count.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object: Map<String, Value> = Violation::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), self.count(*kind).into()))
            .collect();
        Value::Object(object).to_string()
    }

    /// The last 32 in words, one per line, oldest first.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = String::new();
        for line in &self.log {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Zeroes the counts and forgets the words.
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
