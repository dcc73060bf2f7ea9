// SPDX-License-Identifier: GPL-2.0

//! What an offset in a BAR means.

use super::Device;
use crate::config::Revision;
use crate::host::FunctionId;
use crate::regs::FUNCTION_BLOCK_BYTES;
use crate::regs::function as fb;
use crate::regs::migration;
use crate::regs::pf;

/// What a 32 bit access reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Function block of a function.
    Function(FunctionId, u64),
    /// Word of EQC.
    Eqc(FunctionId, usize),
    /// Word of AEQC.
    Aeqc(FunctionId, usize),
    /// The PF's own registers.
    Pf(u64),
    /// No register.
    Outside,
}

impl Place {
    /// A 64 bit write belongs here.
    pub(super) fn is_wide(self) -> bool {
        match self {
            Place::Function(_, offset) => matches!(
                offset,
                fb::MAILBOX
                    ..fb::MAILBOX_END | fb::VF2PF_VF_W | fb::DOORBELL_SQ_CQ | fb::DOORBELL_EQ_AEQ
            ),
            Place::Pf(offset) => matches!(offset, pf::IFC_INT_SOURCE_P | pf::PF2VF_PF_W),
            Place::Eqc(..) | Place::Aeqc(..) => false,
            // Counted as such, once for each half.
            Place::Outside => true,
        }
    }
}

impl Device {
    pub(super) fn place(&self, function: FunctionId, offset: u64) -> Place {
        if offset < FUNCTION_BLOCK_BYTES {
            return Place::Function(function, offset);
        }
        match (self.config.revision, function) {
            (Revision::V3, 1..) => xeqc(function, offset, migration::V3_EQC, migration::V3_AEQC)
                .unwrap_or(Place::Outside),
            (Revision::V4, 0) if self.in_windows(offset) => {
                let inner = (offset - migration::V4_WINDOWS) % migration::V4_WINDOW_BYTES;
                let target = (offset - migration::V4_WINDOWS) / migration::V4_WINDOW_BYTES;
                match FunctionId::try_from(target) {
                    Ok(target) if target <= self.vfs => {
                        xeqc(target, inner, migration::V4_EQC, migration::V4_AEQC)
                            .unwrap_or(Place::Function(target, inner))
                    }
                    _ => Place::Outside,
                }
            }
            (_, 0) if self.pf.covers(offset) => Place::Pf(offset),
            _ => Place::Outside,
        }
    }

    fn in_windows(&self, offset: u64) -> bool {
        self.pf.windows_open()
            && (migration::V4_WINDOWS..migration::V4_WINDOWS_END).contains(&offset)
    }

    /// A 64 bit write at the start of a window: the doorbell of the window before, where it does not exist.
    pub(super) fn crosses_window(&self, function: FunctionId, offset: u64) -> bool {
        self.config.revision == Revision::V4
            && function == 0
            && self.in_windows(offset)
            && offset % migration::V4_WINDOW_BYTES == 0
    }
}

fn xeqc(function: FunctionId, offset: u64, eqc: u64, aeqc: u64) -> Option<Place> {
    let index = |start: u64| {
        (start..start + migration::XEQC_BYTES)
            .contains(&offset)
            .then(|| ((offset - start) / 4) as usize)
    };
    index(eqc)
        .map(|index| Place::Eqc(function, index))
        .or_else(|| index(aeqc).map(|index| Place::Aeqc(function, index)))
}
