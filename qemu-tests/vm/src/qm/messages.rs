// SPDX-License-Identifier: GPL-2.0

//! Messages between a VF and its PF, as `qm.c` exchanges them.

use anyhow::Result;
use linux::ffi::Mapping;

use super::registers::{self, Command};

/// `QM_VF2PF_VF_W`, from hardware V4 on.
const VF_TO_PF: usize = 0x320;
/// `QM_PF2VF_VF_R`, from hardware V4 on.
const PF_TO_VF: usize = 0x380;

/// How the content of messages is exchanged. A driver chooses when it is loaded, by the hardware
/// version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By mailbox, on hardware V3.
    Mailbox,
    /// By registers, from hardware V4 on.
    Registers,
}

/// Whether the PF has left a message that is not acknowledged.
pub fn has_come(bar: &Mapping) -> bool {
    // A device that is being reset reads as all ones.
    bar.read32(registers::IFC_INT_SOURCE) == 1
}

/// Reads the PF's message.
pub fn fetch(bar: &Mapping, way: Way) -> Result<u64> {
    match way {
        Way::Mailbox => registers::mailbox_read(bar, Command::MessageFetch, 0),
        Way::Registers => {
            let high = bar.read32(PF_TO_VF + 4);
            Ok(u64::from(bar.read32(PF_TO_VF)) | u64::from(high) << 32)
        }
    }
}

/// Acknowledges the PF's message.
pub fn acknowledge(bar: &Mapping) {
    bar.write32(registers::IFC_INT_SOURCE, 1);
}

/// Sends the PF a message.
pub fn send(bar: &Mapping, way: Way, message: u64) -> Result<()> {
    match way {
        Way::Mailbox => registers::mailbox_write(bar, Command::MessageSend, 0, message)?,
        Way::Registers => bar.write64(VF_TO_PF, message),
    }
    bar.write32(registers::IFC_INT_SET, 1);
    Ok(())
}
