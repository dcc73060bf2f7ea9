// SPDX-License-Identifier: GPL-2.0

//! Decodes the target of an access to a BAR.

use crate::revision::Revision;
use std::collections::BTreeMap;

use crate::host::FunctionId;
use crate::regs::function as fb;
use crate::regs::pf;

/// Ends of 64-bit registers.
const IFC_END: u64 = pf::IFC_INT_SOURCE_P + 8;
const DEV_DB_DROP_END: u64 = pf::DEV_DB_DROP + 8;
const FUNC_AXI_END: u64 = pf::FUNC_AXI_ERR_ST0 + 8;

/// Target of a 32-bit access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AddressTarget {
    /// A register in the function block of a function.
    Function(FunctionId, u64),
    /// A word of EQC.
    Eqc(FunctionId, usize),
    /// A word of AEQC.
    Aeqc(FunctionId, usize),
    /// One of the PF's own registers.
    Pf(u64),
    /// A register of a later generation. Dumps of the PF's driver read whole ranges, so it can be read; its value is 0.
    Later,
    /// No register.
    Outside,
}

impl AddressTarget {
    /// Returns whether the target is part of a register that is written with 64 bits.
    pub(crate) fn is_wide(self) -> bool {
        match self {
            AddressTarget::Function(_, offset) => matches!(
                offset,
                fb::MAILBOX
                    ..fb::MAILBOX_END | fb::VF2PF_VF_W | fb::DOORBELL_SQ_CQ | fb::DOORBELL_EQ_AEQ
            ),
            AddressTarget::Pf(offset) => matches!(
                offset,
                pf::IFC_INT_SOURCE_P | pf::PF2VF_PF_W | pf::DEV_DB_DROP | pf::FUNC_AXI_ERR_ST0
            ),
            AddressTarget::Eqc(..) | AddressTarget::Aeqc(..) => false,
            // Counted as an access outside of the registers, once for each half.
            AddressTarget::Later | AddressTarget::Outside => true,
        }
    }
}

/// Returns the generation that introduced the registers at `offset`, as far as a driver for an older one shows that it
/// works without them.
pub(crate) fn since(offset: u64) -> Revision {
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

/// Registers that are stuck because of a fault, and their values.
pub(crate) type Stuck = BTreeMap<AddressTarget, u32>;
