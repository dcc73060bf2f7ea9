// SPDX-License-Identifier: GPL-2.0

//! What tells one accelerator from another: ids, capability registers, the engine behind the queues.

use crate::engine::Engine;
use crate::regs::FunctionCaps;
use crate::regs::function::CAPS;
use crate::regs::function::CAPS_END;
use crate::zip::Zip;

/// Capability registers from `QM_FUNC_CAPS_REG` on.
const CAPS_WORDS: usize = ((CAPS_END - CAPS) / 4) as usize;

/// One kind of accelerator.
#[derive(Debug)]
pub struct Profile {
    /// PCI device id of the PF.
    pub pf_device_id: u16,
    /// PCI device id of a VF.
    pub vf_device_id: u16,
    /// Capability registers (source: `qm_basic_info[]` in `qm.c` and the engine's `*_basic_cap_info[]`).
    pub(crate) caps: [u32; CAPS_WORDS],
    pub(crate) engine: &'static dyn Engine,
}

impl Profile {
    /// Capability register at `offset` from `QM_FUNC_CAPS_REG`.
    pub(crate) fn cap(&self, offset: u64) -> u32 {
        usize::try_from(offset / 4)
            .ok()
            .and_then(|index| self.caps.get(index))
            .copied()
            .unwrap_or(0)
    }
}

const fn zip_caps() -> [u32; CAPS_WORDS] {
    let mut caps = [0; CAPS_WORDS];
    // No runtime power management: it needs firmware tables that the machine does not have.
    caps[0] = FunctionCaps::VERSION_1
        .union(FunctionCaps::FUNC_QOS)
        .union(FunctionCaps::STOP_QP)
        .union(FunctionCaps::STOP_FUNC)
        .union(FunctionCaps::MB_COMMAND)
        .union(FunctionCaps::SVA_PREFETCH)
        .bits();
    // Depths: AEQ 1024 and EQ 2048, CQ 1024 and SQ 1024.
    caps[1] = 0x0400_0800;
    caps[2] = 0x0400_0400;
    // Interrupts: type 1, vector 0..3; four for the PF, three for a VF; then the index of the BARs.
    caps[3] = 0x1_0000;
    caps[4] = 0x1_0001;
    caps[5] = 0x1_0003;
    caps[6] = 0x1_0002;
    caps[7] = 0x4_0003;
    caps[8] = 0x14;
    // Masks of the queue manager's and the engine's errors.
    caps[9] = 0x7c77;
    caps[10] = 0x6c77;
    caps[11] = 0x8;
    caps[12] = 0x1ffe;
    caps[13] = 0x7fe;
    caps[14] = 0x1;
    // One cluster of two compressing and three decompressing cores, all of them on.
    caps[15] = 0x1205_0203;
    caps[16] = 0x1c_0003;
    // Algorithms: deflate for the kernel.
    caps[17] = 0x30;
    caps[18] = 0x3f;
    caps[19] = 0xd5;
    caps[20] = 0xd5;
    caps[21] = 0x2a;
    caps[22] = 0x2a;
    caps[23] = 0x2a;
    caps
}

/// The ZIP accelerator.
pub static ZIP: Profile = Profile {
    pf_device_id: 0xa250,
    vf_device_id: 0xa251,
    caps: zip_caps(),
    engine: &Zip,
};
