// SPDX-License-Identifier: GPL-2.0

//! Registers that a fault can refer to by name.
//!
//! The registers of the mailbox and of the function table are not included: their transactions have their own faults.

use crate::regs::function as fb;
use crate::regs::pf;

/// A register by its name, independent of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Register {
    /// A register of the function block, by its offset.
    Function(u64),
    /// Word of EQC.
    Eqc(usize),
    /// Word of AEQC.
    Aeqc(usize),
    /// A register of the PF's queue manager, by its offset.
    Pf(u64),
    /// The engine's error register, whose offset depends on the engine.
    CoreStatus,
}

const FUNCTION: [(&str, u64); 10] = [
    ("aeq-int-mask", fb::AEQ_INT_MASK),
    ("eq-int-mask", fb::EQ_INT_MASK),
    ("ifc-int-source", fb::IFC_INT_SOURCE_V),
    ("ifc-int-mask", fb::IFC_INT_MASK),
    ("ifc-int-status", fb::IFC_INT_STATUS),
    ("ifc-int-set", fb::IFC_INT_SET_V),
    ("que-iso-cfg", fb::QUE_ISO_CFG),
    ("page-size", fb::PAGE_SIZE),
    ("vf-state", fb::VF_STATE),
    ("cache-wb-done", fb::CACHE_WB_DONE),
];

const PF: [(&str, u64); 4] = [
    ("abnormal-int-mask", pf::ABNORMAL_INT_MASK),
    ("abnormal-int-status", pf::ABNORMAL_INT_STATUS),
    ("mig-region-sel", pf::MIG_REGION_SEL),
    ("in-idle-st", pf::IN_IDLE_ST),
];

/// Number of words of EQC and AEQC that have registers.
const CONTEXT_WORDS: usize = 7;

impl Register {
    /// Returns the register with this name, or `None` if there is none.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let offset = |all: &[(&str, u64)]| {
            let (_, offset) = all.iter().find(|(known, _)| *known == name)?;
            Some(*offset)
        };
        let word = |prefix: &str| {
            let index = name.strip_prefix(prefix)?.parse().ok()?;
            (index < CONTEXT_WORDS).then_some(index)
        };
        if name == "core-int-status" {
            return Some(Self::CoreStatus);
        }
        offset(&FUNCTION)
            .map(Self::Function)
            .or_else(|| offset(&PF).map(Self::Pf))
            .or_else(|| word("eqc-dw").map(Self::Eqc))
            .or_else(|| word("aeqc-dw").map(Self::Aeqc))
    }

    /// Returns whether only the PF has this register.
    pub(crate) fn is_of_pf(self) -> bool {
        matches!(self, Self::Pf(_) | Self::CoreStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_registers() {
        assert_eq!(
            Register::from_name("vf-state"),
            Some(Register::Function(0x60))
        );
        assert_eq!(Register::from_name("eqc-dw6"), Some(Register::Eqc(6)));
        assert_eq!(Register::from_name("aeqc-dw0"), Some(Register::Aeqc(0)));
        for nothing in ["eqc-dw7", "eqc-dw", "vf-stat", "mailbox", ""] {
            assert_eq!(Register::from_name(nothing), None, "{nothing}");
        }
    }
}
