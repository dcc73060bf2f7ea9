// SPDX-License-Identifier: GPL-2.0

//! The virtual function table: the queues and the rate assigned to each function.
//!
//! Drivers access it through a window of seven registers on the PF. Nothing in the hardware serializes two drivers
//! there, so the model detects overlapping transactions. It does not require the registers to be written in a
//! particular order.

use crate::host::FunctionId;
use crate::regs::pf;

/// Kinds of entries a function has: SQC, CQC and one shaper for each of two algorithm types.
const ENTRIES: usize = 4;

const OPERATION: u8 = 1 << 0;
const TYPE: u8 = 1 << 1;
const FUNCTION: u8 = 1 << 2;
const DATA_LOW: u8 = 1 << 3;
const DATA_HIGH: u8 = 1 << 4;

/// A function's share of the device's queue pairs.
///
/// An SQC entry holds the first queue in bits 43:28, valid in bit 44 and the number of queues minus one in bits 54:45
/// (source: `QM_SQC_VFT_*` in `qm.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Number of the first queue in the device.
    pub(crate) first: u16,
    /// Number of queues; 0 if the entry is not valid.
    pub(crate) number: u16,
}

impl Share {
    pub(crate) const fn decode(entry: u64) -> Self {
        if entry >> 44 & 1 == 0 {
            return Self {
                first: 0,
                number: 0,
            };
        }
        Self {
            first: (entry >> 28) as u16,
            number: (entry >> 45 & 0x3ff) as u16 + 1,
        }
    }
}

/// An error detected by the transaction registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VftFault {
    /// Two transactions overlap.
    Interleaved,
    /// No such function, no such type, or more queues than the device has.
    Number,
}

/// The table and its transaction registers.
#[derive(Debug)]
pub(crate) struct Vft {
    entries: Vec<[u64; ENTRIES]>,
    total_qps: u16,
    operation: u32,
    kind: u32,
    function: u32,
    data: u64,
    ready: bool,
    /// Registers written since the last transaction was started.
    written: u8,
    /// Halves of a result that have not been read yet.
    unread: u8,
}

impl Vft {
    pub(crate) fn new(functions: usize, total_qps: u16) -> Self {
        Self {
            entries: vec![[0; ENTRIES]; functions],
            total_qps,
            operation: 0,
            kind: 0,
            function: 0,
            data: 0,
            ready: true,
            written: 0,
            unread: 0,
        }
    }

    /// Returns the SQC entry of `function` as it was written.
    pub(crate) fn queue_entry(&self, function: FunctionId) -> u64 {
        self.entries
            .get(usize::from(function))
            .map_or(0, |entries| entries[0])
    }

    /// Returns the queues of `function`.
    pub(crate) fn share(&self, function: FunctionId) -> Share {
        let share = Share::decode(self.queue_entry(function));
        Share {
            number: share.number.min(self.total_qps),
            ..share
        }
    }

    pub(crate) fn read(&mut self, offset: u64) -> Option<u32> {
        Some(match offset {
            pf::VFT_CFG_OP_ENABLE => 0,
            pf::VFT_CFG_OP_WR => self.operation,
            pf::VFT_CFG_TYPE => self.kind,
            pf::VFT_CFG => self.function,
            pf::VFT_CFG_DATA_L => {
                self.unread &= !DATA_LOW;
                self.data as u32
            }
            pf::VFT_CFG_DATA_H => {
                self.unread &= !DATA_HIGH;
                (self.data >> 32) as u32
            }
            pf::VFT_CFG_RDY => self.ready.into(),
            _ => return None,
        })
    }

    /// Writes a register; returns `None` if it does not belong to the window. `stuck` keeps a started transaction from
    /// completing.
    pub(crate) fn write(
        &mut self,
        offset: u64,
        value: u32,
        stuck: bool,
    ) -> Option<Result<(), VftFault>> {
        Some(match offset {
            pf::VFT_CFG_OP_WR => {
                self.operation = value & 1;
                self.prepare(OPERATION)
            }
            pf::VFT_CFG_TYPE => {
                self.kind = value;
                self.prepare(TYPE)
            }
            pf::VFT_CFG => {
                self.function = value;
                self.prepare(FUNCTION)
            }
            pf::VFT_CFG_DATA_L => {
                self.data = self.data & !0xffff_ffff | u64::from(value);
                self.prepare(DATA_LOW)
            }
            pf::VFT_CFG_DATA_H => {
                self.data = self.data & 0xffff_ffff | u64::from(value) << 32;
                self.prepare(DATA_HIGH)
            }
            pf::VFT_CFG_RDY => {
                self.ready = value & 1 != 0;
                Ok(())
            }
            pf::VFT_CFG_OP_ENABLE if value & 1 != 0 => self.start(stuck),
            pf::VFT_CFG_OP_ENABLE => Ok(()),
            _ => return None,
        })
    }

    fn prepare(&mut self, register: u8) -> Result<(), VftFault> {
        let overlap = self.written & register != 0 || self.unread != 0;
        self.unread = 0;
        if overlap {
            self.written = register;
            return Err(VftFault::Interleaved);
        }
        self.written |= register;
        Ok(())
    }

    fn start(&mut self, stuck: bool) -> Result<(), VftFault> {
        let reads = self.operation == 1;
        let mut needed = OPERATION | TYPE | FUNCTION;
        if !reads {
            needed |= DATA_LOW | DATA_HIGH;
        }
        let complete = self.written & needed == needed && self.unread == 0;
        self.written = 0;
        self.unread = 0;
        let outcome = if stuck { Ok(()) } else { self.execute(reads) };
        self.ready = !stuck;
        if complete {
            outcome
        } else {
            Err(VftFault::Interleaved)
        }
    }

    fn execute(&mut self, reads: bool) -> Result<(), VftFault> {
        let (function, column) = match self.kind {
            0 | 1 => (self.function, self.kind as usize),
            2 => (self.function & 0x3f, 2 + (self.function >> 6 & 1) as usize),
            _ => return Err(VftFault::Number),
        };
        let entry = self
            .entries
            .get_mut(function as usize)
            .and_then(|entries| entries.get_mut(column))
            .ok_or(VftFault::Number)?;
        if reads {
            self.data = *entry;
            self.unread = DATA_LOW | DATA_HIGH;
            return Ok(());
        }
        *entry = self.data;
        let share = Share::decode(self.data);
        let end = u32::from(share.first) + u32::from(share.number);
        if self.kind == 0 && end > u32::from(self.total_qps) {
            return Err(VftFault::Number);
        }
        Ok(())
    }
}
