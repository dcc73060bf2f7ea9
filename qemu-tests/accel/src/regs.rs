// SPDX-License-Identifier: GPL-2.0

//! Register map of BAR 2.
//!
//! All registers are 32 bit wide and little endian, except those said to be 64 or 128 bit. Names and offsets are
//! those of `include/linux/hisi_acc_qm.h`, `drivers/crypto/hisilicon/qm.c` and `zip/zip_main.c`.

use bitflags::bitflags;

/// Queue pairs a device can have: width of the number field in a VFT entry.
pub const MAX_QUEUES: u16 = 1024;
/// VFs a device can have: the message registers have one bit for each function.
pub const MAX_VFS: u16 = 63;
/// MSI vectors of a function.
pub const VECTORS: u8 = 4;

/// MSI vector of the event queue.
pub const VECTOR_EQ: u8 = 0;
/// MSI vector of the asynchronous event queue.
pub const VECTOR_AEQ: u8 = 1;
/// MSI vector of messages between PF and VF.
pub const VECTOR_MESSAGE: u8 = 2;
/// MSI vector of hardware errors; only the PF has it.
pub const VECTOR_ABNORMAL: u8 = 3;

/// Bytes of the PF's BAR 2; the last register used is at 0x334010.
pub const PF_BAR_BYTES: u64 = 4 << 20;
/// Bytes of a VF's BAR 2: function block and, on V3, the migration block.
pub const VF_BAR_BYTES: u64 = 64 << 10;
/// Bytes of the function block, which a guest sees.
pub const FUNCTION_BLOCK_BYTES: u64 = 0x8000;

/// Function block: the part of BAR 2 that PF and VF have alike.
pub mod function {
    /// `QM_VF_AEQ_INT_MASK`: bit 0 holds back the AEQ's interrupt; 1 after reset.
    pub const AEQ_INT_MASK: u64 = 0x04;
    /// `QM_VF_EQ_INT_MASK`: bit 0 holds back the EQ's interrupt; 1 after reset.
    pub const EQ_INT_MASK: u64 = 0x0c;
    /// `QM_IFC_INT_SOURCE_V`: bit 0 a message of the PF waits; write 1 to acknowledge it.
    pub const IFC_INT_SOURCE_V: u64 = 0x20;
    /// `QM_IFC_INT_MASK`: bit 0 holds back the message interrupt; 1 after reset.
    pub const IFC_INT_MASK: u64 = 0x24;
    /// `QM_IFC_INT_STATUS`: a message waits and is not masked.
    pub const IFC_INT_STATUS: u64 = 0x28;
    /// `QM_IFC_INT_SET_V`: bit 0 tells the PF of a message; reads 1 until the PF has acknowledged it.
    pub const IFC_INT_SET_V: u64 = 0x2c;
    /// `QM_QUE_ISO_CFG_V`: bit 0 doorbells in BAR 4; not offered here.
    pub const QUE_ISO_CFG: u64 = 0x30;
    /// `QM_PAGE_SIZE`: 0 is 4 KiB, 1 is 16 KiB, 2 is 64 KiB.
    pub const PAGE_SIZE: u64 = 0x34;
    /// `QM_FUN_DB_DROP` (V5): bit 0, doorbells of the function are dropped.
    pub const FUN_DB_DROP: u64 = 0x38;
    /// `QM_VF_STATE`: 0 the driver of the function is ready, 1 it is not; 1 after reset.
    pub const VF_STATE: u64 = 0x60;
    /// `QM_CACHE_WB_START`: writing 1 writes the cached SQCs and CQCs back to their tables.
    pub const CACHE_WB_START: u64 = 0x204;
    /// `QM_CACHE_WB_DONE`: bit 0, the write-back is over.
    pub const CACHE_WB_DONE: u64 = 0x208;
    /// `QM_SUB_VERSION_ID`: 0, the PCI revision says it all.
    pub const SUB_VERSION_ID: u64 = 0x210;
    /// `QM_MB_CMD_SEND_BASE`: the 128 bit mailbox; the access of its last byte sends the command.
    pub const MAILBOX: u64 = 0x300;
    /// End of the mailbox.
    pub const MAILBOX_END: u64 = 0x310;
    /// `QM_VF2PF_VF_W` (64 bit, V4): message to the PF.
    pub const VF2PF_VF_W: u64 = 0x320;
    /// `QM_PF2VF_VF_R` (64 bit, V4): last message of the PF.
    pub const PF2VF_VF_R: u64 = 0x380;
    /// `QM_DOORBELL_SQ_CQ_BASE_V2` (64 bit).
    pub const DOORBELL_SQ_CQ: u64 = 0x1000;
    /// `QM_DOORBELL_EQ_AEQ_BASE_V2` (64 bit).
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
    /// V4: the first function's window in the PF's BAR 2.
    pub const V4_WINDOWS: u64 = 0x18_0000;
    /// V4: end of the last function's window.
    pub const V4_WINDOWS_END: u64 = 0x20_0000;
    /// V4: bytes of a window; what a window shows is the start of the function block.
    pub const V4_WINDOW_BYTES: u64 = 0x2000;
    /// V4: `QM_EQC_PF_DW0` in a window.
    pub const V4_EQC: u64 = 0x1c00;
    /// V4: `QM_AEQC_PF_DW0` in a window.
    pub const V4_AEQC: u64 = 0x1c20;
    /// Bytes of seven 32 bit words of EQC or AEQC.
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
    /// `QM_ABNORMAL_INT_STATUS`: hardware errors; must be 0 for a function to be stopped.
    pub const ABNORMAL_INT_STATUS: u64 = 0x10_0008;
    /// In these: `QM_AXI_RRESP`, a read of memory was refused.
    pub const AXI_RRESP: u32 = 1 << 0;
    /// In these: `QM_DB_TIMEOUT`, a doorbell could not be carried out.
    pub const DB_TIMEOUT: u32 = 1 << 10;
    /// `QM_ABNORMAL_INT_SET`: raises an error.
    pub const ABNORMAL_INT_SET: u64 = 0x10_000c;
    /// `QM_MEM_INIT_DONE`: bit 0.
    pub const MEM_INIT_DONE: u64 = 0x10_0044;
    /// `QM_VFT_CFG_OP_ENABLE`: writing 1 carries the transaction out.
    pub const VFT_CFG_OP_ENABLE: u64 = 0x10_0054;
    /// `QM_VFT_CFG_OP_WR`: 0 write an entry, 1 read it.
    pub const VFT_CFG_OP_WR: u64 = 0x10_0058;
    /// `QM_VFT_CFG_TYPE`: 0 SQC, 1 CQC, 2 shaper.
    pub const VFT_CFG_TYPE: u64 = 0x10_005c;
    /// `QM_VFT_CFG`: function; for the shaper also the algorithm, from bit 6.
    pub const VFT_CFG: u64 = 0x10_0060;
    /// `QM_VFT_CFG_DATA_L`.
    pub const VFT_CFG_DATA_L: u64 = 0x10_0064;
    /// `QM_VFT_CFG_DATA_H`.
    pub const VFT_CFG_DATA_H: u64 = 0x10_0068;
    /// `QM_VFT_CFG_RDY`: bit 0, the last transaction is over.
    pub const VFT_CFG_RDY: u64 = 0x10_006c;
    /// `QM_IFC_READY_STATUS` (64 bit): functions that have not acknowledged the PF's message.
    pub const IFC_READY_STATUS: u64 = 0x10_0128;
    /// `QM_IFC_INT_SET_P`: bit 0 tells the function in `IFC_INT_CFG` of a message.
    pub const IFC_INT_SET_P: u64 = 0x10_0130;
    /// `QM_IFC_INT_CFG`: bits 6:0 function, 0x7f all VFs.
    pub const IFC_INT_CFG: u64 = 0x10_0134;
    /// `QM_IFC_INT_SOURCE_P` (64 bit): VFs with a message for the PF; write 1 to acknowledge.
    pub const IFC_INT_SOURCE_P: u64 = 0x10_0138;
    /// `QM_TOTAL_QP_NUM`: queue pairs of the device in bits 10:0, of a function in bits 21:11.
    pub const TOTAL_QP: u64 = 0x10_0158;
    /// `QM_MIG_REGION_SEL` (V4): bit 0 opens the migration windows.
    pub const MIG_REGION_SEL: u64 = 0x10_0198;
    /// `QM_DEV_DB_DROP` (64 bit, V5): functions whose doorbells are dropped.
    pub const DEV_DB_DROP: u64 = 0x10_0250;
    /// `QM_FUNC_AXI_ERR_ST0` (64 bit, V5): functions with errors on the bus; write 1 to clear. No function has any here.
    pub const FUNC_AXI_ERR_ST0: u64 = 0x10_0280;
    /// `QM_IN_IDLE_ST`: bit 0, nothing is in flight.
    pub const IN_IDLE_ST: u64 = 0x10_40e4;
    /// `QM_PF2VF_PF_W` (64 bit, V4): message to the functions told by the next `IFC_INT_SET_P`.
    pub const PF2VF_PF_W: u64 = 0x10_4700;
    /// `QM_VF2PF_PF_R` (V4): last message of function n at `+ 4 * n`.
    pub const VF2PF_PF_R: u64 = 0x10_4800;
    /// End of these.
    pub const VF2PF_PF_R_END: u64 = VF2PF_PF_R + 4 * 64;
}

/// Registers of the PF's engine, whatever it is; [`Profile`](crate::Profile) has those that differ.
pub mod engine {
    /// First register.
    pub const START: u64 = 0x30_0000;
    /// End of the block.
    pub const END: u64 = 0x31_0000;
    /// `ACC_MASTER_TRANS_RETURN`: 3, no transaction is open.
    pub const MASTER_TRANS_RETURN: u64 = 0x30_0150;
    /// First register of the data analytics engine, which shares the ZIP device.
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
    /// status, which is 0 after success.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct MailboxFlags: u16 {
        /// A command is being carried out.
        const BUSY = 1 << 13;
        /// The command reads.
        const READ = 1 << 14;
    }
}

/// Lowest bit of the mailbox's status field.
pub const MAILBOX_STATUS_SHIFT: u32 = 9;
