// SPDX-License-Identifier: GPL-2.0

//! Hardware generations.

/// Hardware generation: it determines which registers exist, and where the migration registers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// PCI revision 0x21: no migration, no capability registers, no messages between PF and VF.
    V2,
    /// PCI revision 0x30: EQC and AEQC are in the upper half of each VF's BAR 2 (`HW_ACC_MIG_VF_CTRL`).
    V3,
    /// PCI revision 0x50: the PF has a window for each function (`HW_ACC_MIG_PF_CTRL`).
    V4,
    /// PCI revision 0x51: like V4; in addition, doorbells can be dropped for each function.
    V5,
}

impl Revision {
    /// Returns the generation of PCI revision `id`.
    ///
    /// # Errors
    ///
    /// [`UnknownRevision`] for a revision that is not modelled.
    pub fn from_pci(id: u8) -> Result<Self, UnknownRevision> {
        match id {
            0x21 => Ok(Self::V2),
            0x30 => Ok(Self::V3),
            0x50 => Ok(Self::V4),
            0x51 => Ok(Self::V5),
            _ => Err(UnknownRevision(id)),
        }
    }
}

/// A PCI revision that is not modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {0:#x} is not modelled; there are 0x21, 0x30, 0x50 and 0x51")]
pub struct UnknownRevision(pub u8);
