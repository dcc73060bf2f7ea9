// SPDX-License-Identifier: GPL-2.0

//! What an offset in a BAR means.

use super::Device;
use crate::config::Revision;
use crate::host::FunctionId;
use crate::regs::FUNCTION_BLOCK_BYTES;
use crate::regs::function as fb;
use crate::regs::migration;
use crate::regs::pf;

/// Ends of 64 bit registers.
const IFC_END: u64 = pf::IFC_INT_SOURCE_P + 8;
const DEV_DB_DROP_END: u64 = pf::DEV_DB_DROP + 8;
const FUNC_AXI_END: u64 = pf::FUNC_AXI_ERR_ST0 + 8;

/// What a 32 bit access reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Function block of a function.
    Function(FunctionId, u64),
    /// Word of EQC.
    Eqc(FunctionId, usize),
    /// Word of AEQC.
    Aeqc(FunctionId, usize),
    /// The PF's own registers.
    Pf(u64),
    /// A register of a later generation. Dumps of the PF's driver read whole ranges, so it can be read; it is 0.
    Later,
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
            Place::Pf(offset) => matches!(
                offset,
                pf::IFC_INT_SOURCE_P | pf::PF2VF_PF_W | pf::DEV_DB_DROP | pf::FUNC_AXI_ERR_ST0
            ),
            Place::Eqc(..) | Place::Aeqc(..) => false,
            // Counted as such, once for each half.
            Place::Later | Place::Outside => true,
        }
    }
}

/// The generation that brought the registers at `offset`, as far as a driver of an older one shows that it does
/// without them.
fn since(offset: u64) -> Revision {
    match offset {
        fb::IFC_INT_SOURCE_V..fb::PAGE_SIZE
        | fb::VF_STATE
        | pf::IFC_READY_STATUS..IFC_END
        | pf::TOTAL_QP => Revision::V3,
        pf::MIG_REGION_SEL => Revision::V4,
        fb::FUN_DB_DROP | pf::DEV_DB_DROP..DEV_DB_DROP_END | pf::FUNC_AXI_ERR_ST0..FUNC_AXI_END => {
            Revision::V5
        }
        _ => Revision::V2,
    }
}

impl Device {
    pub(super) fn place(&self, function: FunctionId, offset: u64) -> Place {
        if since(offset) > self.config.revision {
            return Place::Later;
        }
        if self.config.revision == Revision::V2 && (fb::CAPS..fb::CAPS_END).contains(&offset) {
            return Place::Outside;
        }
        if offset < FUNCTION_BLOCK_BYTES {
            return Place::Function(function, offset);
        }
        match (self.config.revision, function) {
            (Revision::V3, 1..) => xeqc(function, offset, migration::V3_EQC, migration::V3_AEQC)
                .unwrap_or(Place::Outside),
            (Revision::V4 | Revision::V5, 0) if self.in_windows(offset) => {
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
        self.config.revision >= Revision::V4
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
