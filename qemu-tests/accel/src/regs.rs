// SPDX-License-Identifier: GPL-2.0

//! Register map of BAR 2.
//!
//! All registers are 32-bit and little endian, unless noted as 64-bit or 128-bit. Names and offsets are those of
//! `include/linux/hisi_acc_qm.h`, `drivers/crypto/hisilicon/qm.c` and `zip/zip_main.c`.

use bitflags::bitflags;

/// Maximum number of queue pairs of a device, given by the width of the number field in a VFT entry.
pub const MAX_QUEUES: u16 = 1024;
/// Maximum number of VFs of a device: the message registers have one bit for each function.
pub const MAX_VFS: u16 = 63;
/// Number of MSI vectors of a function.
pub const VECTORS: u8 = 4;

/// MSI vector of the event queue.
pub const VECTOR_EQ: u8 = 0;
/// MSI vector of the asynchronous event queue.
pub const VECTOR_AEQ: u8 = 1;
/// MSI vector of messages between PF and VF.
pub const VECTOR_MESSAGE: u8 = 2;
/// MSI vector of hardware errors; only the PF has it.
pub const VECTOR_ABNORMAL: u8 = 3;

/// Size of the PF's BAR 2 in bytes; the last register used is at 0x334010.
pub const PF_BAR_BYTES: u64 = 4 << 20;
/// Size of a VF's BAR 2 in bytes: function block and, on V3, the migration block.
pub const VF_BAR_BYTES: u64 = 64 << 10;
/// Size of the function block, which is visible to a guest, in bytes.
pub const FUNCTION_BLOCK_BYTES: u64 = 0x8000;

/// Function block: the part of BAR 2 that is the same for PF and VF.
pub mod function {
    /// `QM_VF_AEQ_INT_MASK`: bit 0 masks the AEQ's interrupt; 1 after reset.
    pub const AEQ_INT_MASK: u64 = 0x04;
    /// `QM_VF_EQ_INT_MASK`: bit 0 masks the EQ's interrupt; 1 after reset.
    pub const EQ_INT_MASK: u64 = 0x0c;
    /// `QM_IFC_INT_SOURCE_V`: bit 0, a message from the PF is pending; write 1 to acknowledge it.
    pub const IFC_INT_SOURCE_V: u64 = 0x20;
    /// `QM_IFC_INT_MASK`: bit 0 masks the message interrupt; 1 after reset.
    pub const IFC_INT_MASK: u64 = 0x24;
    /// `QM_IFC_INT_STATUS`: a message is pending and not masked.
    pub const IFC_INT_STATUS: u64 = 0x28;
    /// `QM_IFC_INT_SET_V`: bit 0 notifies the PF of a message; reads 1 until the PF has acknowledged it.
    pub const IFC_INT_SET_V: u64 = 0x2c;
    /// `QM_QUE_ISO_CFG_V`: bit 0, doorbells in BAR 4; not supported here.
    pub const QUE_ISO_CFG: u64 = 0x30;
    /// `QM_PAGE_SIZE`: 0 is 4 KiB, 1 is 16 KiB, 2 is 64 KiB.
    pub const PAGE_SIZE: u64 = 0x34;
    /// `QM_FUN_DB_DROP` (V5): bit 0, doorbells of the function are dropped.
    pub const FUN_DB_DROP: u64 = 0x38;
    /// `QM_VF_STATE`: 0 if the driver of the function is ready, 1 if it is not; 1 after reset.
    pub const VF_STATE: u64 = 0x60;
    /// `QM_CACHE_WB_START`: writing 1 writes the cached SQCs and CQCs back to their tables.
    pub const CACHE_WB_START: u64 = 0x204;
    /// `QM_CACHE_WB_DONE`: bit 0, the write-back has completed.
    pub const CACHE_WB_DONE: u64 = 0x208;
    /// `QM_SUB_VERSION_ID`: 0, the PCI revision is sufficient.
    pub const SUB_VERSION_ID: u64 = 0x210;
    /// `QM_MB_CMD_SEND_BASE`: the 128-bit mailbox; an access to its last byte sends the command.
    pub const MAILBOX: u64 = 0x300;
    /// End of the mailbox.
    pub const MAILBOX_END: u64 = 0x310;
    /// `QM_VF2PF_VF_W` (64-bit, V4): message to the PF.
    pub const VF2PF_VF_W: u64 = 0x320;
    /// `QM_PF2VF_VF_R` (64-bit, V4): last message from the PF.
    pub const PF2VF_VF_R: u64 = 0x380;
    /// `QM_DOORBELL_SQ_CQ_BASE_V2` (64-bit).
    pub const DOORBELL_SQ_CQ: u64 = 0x1000;
    /// `QM_DOORBELL_EQ_AEQ_BASE_V2` (64-bit).
    pub const DOORBELL_EQ_AEQ: u64 = 0x2000;
    /// `QM_FUNC_CAPS_REG`: see [`FunctionCaps`](super::FunctionCaps).
    pub const CAPS: u64 = 0x3100;
    /// End of the capability registers.
    pub const CAPS_END: u64 = 0x3180;
}

/// Where EQC and AEQC can be read and restored.
pub mod migration {
    /// V3: `QM_EQC_VF_DW0` in the VF's BAR 2.
    pub const V3_EQC: u64 = 0x8000;
    /// V3: `QM_AEQC_VF_DW0` in the VF's BAR 2.
    pub const V3_AEQC: u64 = 0x8020;
    /// V4: start of the first function's window in the PF's BAR 2.
    pub const V4_WINDOWS: u64 = 0x18_0000;
    /// V4: end of the last function's window.
    pub const V4_WINDOWS_END: u64 = 0x20_0000;
    /// V4: size of a window in bytes; a window shows the start of the function block.
    pub const V4_WINDOW_BYTES: u64 = 0x2000;
    /// V4: `QM_EQC_PF_DW0` in a window.
    pub const V4_EQC: u64 = 0x1c00;
    /// V4: `QM_AEQC_PF_DW0` in a window.
    pub const V4_AEQC: u64 = 0x1c20;
    /// Size of seven 32-bit words of EQC or AEQC in bytes.
    pub const XEQC_BYTES: u64 = 28;
}

/// Registers of the PF's queue manager.
pub mod pf {
    /// First register.
    pub const START: u64 = 0x10_0000;
    /// End of the block.
    pub const END: u64 = 0x10_5000;
    /// `QM_ABNORMAL_INT_SOURCE`: write 1 to clear an error.
    pub const ABNORMAL_INT_SOURCE: u64 = 0x10_0000;
    /// `QM_ABNORMAL_INT_MASK`.
    pub const ABNORMAL_INT_MASK: u64 = 0x10_0004;
    /// `QM_ABNORMAL_INT_STATUS`: hardware errors; must be 0 before a function can be stopped.
    pub const ABNORMAL_INT_STATUS: u64 = 0x10_0008;
    /// Bit in these registers: `QM_AXI_RRESP`, a memory read was rejected.
    pub const AXI_RRESP: u32 = 1 << 0;
    /// Bit in these registers: `QM_DB_TIMEOUT`, a doorbell could not be processed.
    pub const DB_TIMEOUT: u32 = 1 << 10;
    /// `QM_ABNORMAL_INT_SET`: raises an error.
    pub const ABNORMAL_INT_SET: u64 = 0x10_000c;
    /// `QM_MEM_INIT_DONE`: bit 0.
    pub const MEM_INIT_DONE: u64 = 0x10_0044;
    /// `QM_VFT_CFG_OP_ENABLE`: writing 1 executes the transaction.
    pub const VFT_CFG_OP_ENABLE: u64 = 0x10_0054;
    /// `QM_VFT_CFG_OP_WR`: 0 writes an entry, 1 reads it.
    pub const VFT_CFG_OP_WR: u64 = 0x10_0058;
    /// `QM_VFT_CFG_TYPE`: 0 SQC, 1 CQC, 2 shaper.
    pub const VFT_CFG_TYPE: u64 = 0x10_005c;
    /// `QM_VFT_CFG`: function; for the shaper also the algorithm, from bit 6.
    pub const VFT_CFG: u64 = 0x10_0060;
    /// `QM_VFT_CFG_DATA_L`.
    pub const VFT_CFG_DATA_L: u64 = 0x10_0064;
    /// `QM_VFT_CFG_DATA_H`.
    pub const VFT_CFG_DATA_H: u64 = 0x10_0068;
    /// `QM_VFT_CFG_RDY`: bit 0, the last transaction has completed.
    pub const VFT_CFG_RDY: u64 = 0x10_006c;
    /// `QM_IFC_READY_STATUS` (64-bit): functions that have not acknowledged the PF's message.
    pub const IFC_READY_STATUS: u64 = 0x10_0128;
    /// `QM_IFC_INT_SET_P`: bit 0 notifies the function in `IFC_INT_CFG` of a message.
    pub const IFC_INT_SET_P: u64 = 0x10_0130;
    /// `QM_IFC_INT_CFG`: bits 6:0 function, 0x7f all VFs.
    pub const IFC_INT_CFG: u64 = 0x10_0134;
    /// `QM_IFC_INT_SOURCE_P` (64-bit): VFs with a message for the PF; write 1 to acknowledge.
    pub const IFC_INT_SOURCE_P: u64 = 0x10_0138;
    /// `QM_TOTAL_QP_NUM`: queue pairs of the device in bits 10:0, of a function in bits 21:11.
    pub const TOTAL_QP: u64 = 0x10_0158;
    /// `QM_MIG_REGION_SEL` (V4): bit 0 opens the migration windows.
    pub const MIG_REGION_SEL: u64 = 0x10_0198;
    /// `QM_DEV_DB_DROP` (64-bit, V5): functions whose doorbells are dropped.
    pub const DEV_DB_DROP: u64 = 0x10_0250;
    /// `QM_FUNC_AXI_ERR_ST0` (64-bit, V5): functions with bus errors; write 1 to clear. No function has any here.
    pub const FUNC_AXI_ERR_ST0: u64 = 0x10_0280;
    /// `QM_IN_IDLE_ST`: bit 0, nothing is in flight.
    pub const IN_IDLE_ST: u64 = 0x10_40e4;
    /// `QM_PF2VF_PF_W` (64-bit, V4): message to the functions notified by the next write to `IFC_INT_SET_P`.
    pub const PF2VF_PF_W: u64 = 0x10_4700;
    /// `QM_VF2PF_PF_R` (V4): last message from function n at `+ 4 * n`.
    pub const VF2PF_PF_R: u64 = 0x10_4800;
    /// End of these registers.
    pub const VF2PF_PF_R_END: u64 = VF2PF_PF_R + 4 * 64;
}

/// Registers of the PF's engine that are common to all engines; [`Profile`](crate::Profile) has those that differ.
pub mod engine {
    /// First register.
    pub const START: u64 = 0x30_0000;
    /// End of the block.
    pub const END: u64 = 0x31_0000;
    /// `ACC_MASTER_TRANS_RETURN`: 3, no transaction is outstanding.
    pub const MASTER_TRANS_RETURN: u64 = 0x30_0150;
    /// First register of the data analytics engine, which is part of the ZIP device.
    pub const DAE_START: u64 = 0x33_0000;
    /// End of the block.
    pub const DAE_END: u64 = 0x33_5000;
}

bitflags! {
    /// `QM_FUNC_CAPS_REG` without the version in bits 7:0 (source: `hisi_acc_qm.h`, `enum qm_cap_bits`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FunctionCaps: u32 {
        /// A shaper limits each function's rate.
        const FUNC_QOS = 1 << 8;
        /// Mailbox command `STOP_QP`.
        const STOP_QP = 1 << 9;
        /// Mailbox command `FLUSH_QM`.
        const STOP_FUNC = 1 << 10;
        /// Messages between PF and VF.
        const MB_COMMAND = 1 << 11;
        /// Prefetch of shared virtual addresses.
        const SVA_PREFETCH = 1 << 14;
        /// Version of the capability registers; bits 7:0.
        const VERSION_1 = 1;
    }
}

bitflags! {
    /// First 16 bits of the mailbox (source: `QM_MB_*` in `hisi_acc_qm.h`). Bits 7:0 are the command, bits 12:9 the
    /// status, which is 0 on success.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct MailboxFlags: u16 {
        /// A command is being executed.
        const BUSY = 1 << 13;
        /// The command is a read.
        const READ = 1 << 14;
    }
}

/// Lowest bit of the mailbox's status field.
pub const MAILBOX_STATUS_SHIFT: u32 = 9;
