// SPDX-License-Identifier: GPL-2.0

//! Decodes an offset in a BAR.

use super::Device;
use crate::address_target::AddressTarget;
use crate::address_target::since;
use crate::host::FunctionId;
use crate::regs::FUNCTION_BLOCK_BYTES;
use crate::regs::function as fb;
use crate::regs::migration;
use crate::revision::Revision;

impl Device {
    pub(super) fn place(&self, function: FunctionId, offset: u64) -> AddressTarget {
        if since(offset) > self.config.revision {
            return AddressTarget::Later;
        }
        if self.config.revision == Revision::V2 && (fb::CAPS..fb::CAPS_END).contains(&offset) {
            return AddressTarget::Outside;
        }
        if offset < FUNCTION_BLOCK_BYTES {
            return AddressTarget::Function(function, offset);
        }
        match (self.config.revision, function) {
            (Revision::V3, 1..) => xeqc(function, offset, migration::V3_EQC, migration::V3_AEQC)
                .unwrap_or(AddressTarget::Outside),
            (Revision::V4 | Revision::V5, 0) if self.in_windows(offset) => {
                let inner = (offset - migration::V4_WINDOWS) % migration::V4_WINDOW_BYTES;
                let target = (offset - migration::V4_WINDOWS) / migration::V4_WINDOW_BYTES;
                match FunctionId::try_from(target) {
                    Ok(target) if target <= self.vfs => {
                        xeqc(target, inner, migration::V4_EQC, migration::V4_AEQC)
                            .unwrap_or(AddressTarget::Function(target, inner))
                    }
                    _ => AddressTarget::Outside,
                }
            }
            (_, 0) if self.pf.covers(offset) => AddressTarget::Pf(offset),
            _ => AddressTarget::Outside,
        }
    }

    fn in_windows(&self, offset: u64) -> bool {
        self.pf.windows_open()
            && (migration::V4_WINDOWS..migration::V4_WINDOWS_END).contains(&offset)
    }

    /// Returns whether a 64-bit write to `offset` is at the start of a window, i.e. at the doorbell of the previous
    /// window, which does not exist there.
    pub(super) fn crosses_window(&self, function: FunctionId, offset: u64) -> bool {
        self.config.revision >= Revision::V4
            && function == 0
            && self.in_windows(offset)
            && offset % migration::V4_WINDOW_BYTES == 0
    }
}

fn xeqc(function: FunctionId, offset: u64, eqc: u64, aeqc: u64) -> Option<AddressTarget> {
    let index = |start: u64| {
        (start..start + migration::XEQC_BYTES)
            .contains(&offset)
            .then(|| ((offset - start) / 4) as usize)
    };
    index(eqc)
        .map(|index| AddressTarget::Eqc(function, index))
        .or_else(|| index(aeqc).map(|index| AddressTarget::Aeqc(function, index)))
}
