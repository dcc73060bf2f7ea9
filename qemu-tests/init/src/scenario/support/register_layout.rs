// SPDX-License-Identifier: GPL-2.0

//! Registers that a VF's driver does not use: the migration block of a VF, and the PF. Those of a
//! VF's function block are in [`vm::qm::registers`].

/// Size of a VF's BAR 2.
pub(crate) const VF_BAR2_SIZE: usize = 0x1_0000;
/// Size of the PF's BAR 2.
pub(crate) const PF_BAR2_SIZE: usize = 0x40_0000;

/// The context of the event queue, on hardware V3: the beginning of a VF's migration block.
pub(crate) const EQC: usize = 0x8000;
/// The context of the asynchronous event queue, on hardware V3.
pub(crate) const AEQC: usize = 0x8020;

/// The PF's queue manager, in the PF's BAR 2. The offsets below are from here.
pub(crate) const PF_BLOCK: usize = 0x10_0000;
/// `QM_ABNORMAL_INT_SET`: raises an error.
pub(crate) const ABNORMAL_INT_SET: usize = 0xc;
/// The table of queues, `QM_VFT_CFG_*`: enable, direction, type, function, ready.
pub(crate) const VFT_ENABLE: usize = 0x54;
pub(crate) const VFT_OPERATION: usize = 0x58;
pub(crate) const VFT_TYPE: usize = 0x5c;
pub(crate) const VFT_FUNCTION: usize = 0x60;
pub(crate) const VFT_READY: usize = 0x6c;
/// `QM_MIG_REGION_SEL`: whether there are windows.
pub(crate) const MIG_REGION_SEL: usize = 0x198;
/// The window of the first VF, on hardware V4.
pub(crate) const FIRST_WINDOW: usize = 0x8_2000;
/// The context of the event queue in a window.
pub(crate) const WINDOW_EQC: usize = 0x1c00;
/// The context of the asynchronous event queue in a window.
pub(crate) const WINDOW_AEQC: usize = 0x1c20;
