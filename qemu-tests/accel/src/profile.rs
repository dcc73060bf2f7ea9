// SPDX-License-Identifier: GPL-2.0

//! Properties that differ between accelerators: ids, capability registers, the PF's own registers, the engine behind
//! the queues.

mod hpre;
mod sec;
mod zip;

pub use hpre::HPRE;
pub use sec::SEC;
pub use zip::ZIP;

use crate::engine::Engine;
use crate::regs::FunctionCaps;
use crate::regs::function::CAPS;
use crate::regs::function::CAPS_END;

/// Capability registers, starting at `QM_FUNC_CAPS_REG`.
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
    /// Where the engine reports errors.
    pub(crate) errors: ErrorRegisters,
    /// Engine registers whose value is not changed by any driver.
    pub(crate) fixed: &'static [(u64, u32)],
    /// Whether the PF's BAR has the register block of the data analytics engine.
    pub(crate) has_dae: bool,
    pub(crate) engine: &'static dyn Engine,
}

/// Offsets of the engine's error registers in the PF's BAR.
#[derive(Debug)]
pub(crate) struct ErrorRegisters {
    /// Write 1 to clear an error.
    pub(crate) source: u64,
    pub(crate) mask: u64,
    /// Raises an error, which the mask may suppress. No driver shows where SEC has this register.
    pub(crate) set: Option<u64>,
    /// Must be 0 before a function can be stopped.
    pub(crate) status: u64,
}

/// Engine-specific contents of the capability registers; those of the queue manager are the same for all engines.
struct EngineCaps<'a> {
    /// Nonfatal errors of the queue manager, and those of them that require a reset.
    qm_errors: [u32; 2],
    /// Errors of the engine: nonfatal ones, those of them that require a reset, and corrected ones.
    errors: [u32; 3],
    /// Clusters in bits 23:20, types of cores in bits 19:16, cores in bits 15:8, cores per cluster in bits 7:0; then
    /// the cores that are enabled.
    cores: [u32; 2],
    /// Algorithms: first those for the kernel's drivers, then those of the device, then those of each core.
    algorithms: &'a [u32],
}

const fn caps(engine: &EngineCaps<'_>) -> [u32; CAPS_WORDS] {
    let mut caps = [0; CAPS_WORDS];
    // No runtime power management: it needs firmware tables that the machine does not provide.
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
    // Interrupts: type 1, vectors 0 to 3; four for the PF, three for a VF; then the index of the BARs.
    caps[3] = 0x1_0000;
    caps[4] = 0x1_0001;
    caps[5] = 0x1_0003;
    caps[6] = 0x1_0002;
    caps[7] = 0x4_0003;
    caps[8] = 0x14;
    caps[9] = engine.qm_errors[0];
    caps[10] = engine.qm_errors[1];
    caps[11] = 0x8;
    caps[12] = engine.errors[0];
    caps[13] = engine.errors[1];
    caps[14] = engine.errors[2];
    caps[15] = engine.cores[0];
    caps[16] = engine.cores[1];
    let mut index = 0;
    while index < engine.algorithms.len() {
        caps[17 + index] = engine.algorithms[index];
        index += 1;
    }
    caps
}

impl Profile {
    /// Returns the capability register at `offset` from `QM_FUNC_CAPS_REG`.
    pub(crate) fn cap(&self, offset: u64) -> u32 {
        usize::try_from(offset / 4)
            .ok()
            .and_then(|index| self.caps.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Returns the value of the engine register at `offset` if the value never changes.
    pub(crate) fn fixed_register(&self, offset: u64) -> Option<u32> {
        self.fixed
            .iter()
            .find(|(register, _)| *register == offset)
            .map(|(_, value)| *value)
    }
}
