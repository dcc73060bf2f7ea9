// SPDX-License-Identifier: GPL-2.0

//! The mailbox: a 128-bit register through which a driver sends commands to the queue manager.
//!
//! Word 0 holds the command in bits 7:0, the status in bits 12:9, busy in bit 13, the direction in bit 14 and the
//! queue number in bits 31:16; words 1 and 2 hold an address or data (source: `struct qm_mailbox` in `hisi_acc_qm.h`).
//! Processors write it with one access; a bus may split that access, so the write of the last byte sends the command.

use crate::regs::MAILBOX_STATUS_SHIFT;
use crate::regs::MailboxFlags;
use crate::revision::Revision;

const WORDS: usize = 4;

macro_rules! opcodes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// Mailbox commands (source: `enum qm_mb_cmd` in `hisi_acc_qm.h`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Opcode {
            $($(#[$meta])* $variant,)*
        }

        impl Opcode {
            /// Returns the command with this number.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the command with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the name used in counters and faults.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the number in bits 7:0.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

opcodes! {
    /// Set or read a submission queue's context.
    Sqc = 0x0, "sqc";
    /// Set or read a completion queue's context.
    Cqc = 0x1, "cqc";
    /// Set or read the event queue's context.
    Eqc = 0x2, "eqc";
    /// Set or read the asynchronous event queue's context.
    Aeqc = 0x3, "aeqc";
    /// Set or read the address of the table of SQCs.
    SqcTable = 0x4, "sqc-bt";
    /// Set or read the address of the table of CQCs.
    CqcTable = 0x5, "cqc-bt";
    /// Read the range of queues assigned to this function.
    Vft = 0x6, "sqc-vft";
    /// Finish a queue's requests and drop the queue.
    StopQueue = 0x8, "stop-qp";
    /// Finish all requests of the function.
    Flush = 0x9, "flush-qm";
    /// Send a message to another function.
    MessageSend = 0xc, "src";
    /// Receive another function's message.
    MessageFetch = 0xd, "dst";
    /// Stop accepting requests.
    Pause = 0xe, "pause-qm";
}

impl Opcode {
    /// Returns the generation that introduced the command, as far as a driver for an older generation shows that it
    /// works without the command.
    pub(crate) const fn since(self) -> Revision {
        match self {
            Self::StopQueue
            | Self::Flush
            | Self::MessageSend
            | Self::MessageFetch
            | Self::Pause => Revision::V3,
            _ => Revision::V2,
        }
    }
}

/// Why a command failed; value of the status field. The drivers only distinguish 0 from other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// No such command.
    Command = 1,
    /// No such queue or function, or the queue has no context.
    Number = 2,
    /// A memory access was rejected.
    Dma = 3,
}

/// A command as written by a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Command {
    /// `None` if there is no such command.
    pub(crate) opcode: Option<Opcode>,
    /// Direction: true if the command reads.
    pub(crate) read: bool,
    /// Queue number, or function number for messages.
    pub(crate) queue: u16,
    /// Address or data.
    pub(crate) data: u64,
}

/// Result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The command is not complete yet.
    Partly,
    /// The command was dropped, because it collides with another one.
    Collision,
    /// The command is to be executed.
    Sent(Command),
}

/// The register and the command that it holds.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    words: [u32; WORDS],
    /// Bit mask of the words written since the last command was sent.
    fresh: u8,
    current: Option<(Command, u64)>,
}

impl Mailbox {
    /// Returns word `index` as read by a driver.
    pub(crate) fn word(&self, index: usize) -> u32 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// Returns the command being executed, and the earliest time at which it can end.
    pub(crate) fn current(&self) -> Option<(Command, u64)> {
        self.current
    }

    /// Writes word `index`; the last word sends a command, which will not end before `due_ns`.
    pub(crate) fn write(&mut self, index: usize, value: u32, due_ns: u64) -> Written {
        if self.current.is_some() || self.fresh & 1 << index != 0 {
            return Written::Collision;
        }
        if let Some(word) = self.words.get_mut(index) {
            *word = value;
        }
        if index + 1 < WORDS {
            self.fresh |= 1 << index;
            return Written::Partly;
        }
        self.fresh = 0;
        let word = self.words[0];
        let flags = MailboxFlags::from_bits_truncate(word as u16);
        let command = Command {
            opcode: Opcode::from_code(word as u8),
            read: flags.contains(MailboxFlags::READ),
            queue: (word >> 16) as u16,
            data: u64::from(self.words[1]) | u64::from(self.words[2]) << 32,
        };
        self.words[0] |= u32::from(MailboxFlags::BUSY.bits());
        self.current = Some((command, due_ns));
        Written::Sent(command)
    }

    /// Ends the command: `data` replaces words 1 and 2; `status` is 0 on success.
    pub(crate) fn finish(&mut self, status: u8, data: Option<u64>) {
        let status_field = 0xf << MAILBOX_STATUS_SHIFT;
        self.words[0] &= !(u32::from(MailboxFlags::BUSY.bits()) | status_field);
        self.words[0] |= u32::from(status) << MAILBOX_STATUS_SHIFT & status_field;
        if let Some(data) = data {
            self.words[1] = data as u32;
            self.words[2] = (data >> 32) as u32;
        }
        self.current = None;
    }
}
