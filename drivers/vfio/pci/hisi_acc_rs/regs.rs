// SPDX-License-Identifier: GPL-2.0

//! Registers of the queue manager (QM), as far as migration needs them.
//!
//! - EQ, AEQ: queues of completion events and of abnormal events, EQC and AEQC their contexts
//! - IFC: messages between a PF and its VFs
//! - SQ, CQ: queues of requests and of completions
//!
//! All registers are 32 bit and little endian, but for the doorbell.

/// Index of the BAR that the registers are in, and of its region.
pub(crate) const BAR2: u32 = 2;

/// The function block: the same in the PF's and in every VF's BAR 2, from offset 0.
pub(crate) mod function {
    use kernel::register;

    /// Bytes of the block, up to what every way to reach it has.
    pub(crate) const SIZE: usize = 0x2000;

    register! {
        /// Interrupt mask of the AEQ.
        pub(crate) AEQ_INT_MASK(u32) @ 0x0004 {
            31:0 value;
        }
        /// Interrupt mask of the EQ.
        pub(crate) EQ_INT_MASK(u32) @ 0x000c {
            31:0 value;
        }
        /// Messages from the PF that are pending; a written 1 clears.
        pub(crate) IFC_INT_SOURCE(u32) @ 0x0020 {
            31:0 value;
        }
        /// Interrupt mask of messages from the PF; a 1 masks.
        pub(crate) IFC_INT_MASK(u32) @ 0x0024 {
            31:0 value;
        }
        /// Messages from the PF that are pending and not masked.
        pub(crate) IFC_INT_STATUS(u32) @ 0x0028 {
            31:0 value;
        }
        /// Messages to the PF; a 1 sends, and reads as 1 until the PF has taken it.
        pub(crate) IFC_INT_SET(u32) @ 0x002c {
            31:0 value;
        }
        /// Isolation of the doorbells.
        pub(crate) QUE_ISO_CFG(u32) @ 0x0030 {
            31:0 value;
        }
        /// Page size that the function's driver chose.
        pub(crate) PAGE_SIZE(u32) @ 0x0034 {
            31:0 value;
        }
        /// Drops all doorbells of the function; hardware V5 and later.
        pub(crate) FUN_DB_DROP(u32) @ 0x0038 {
            0:0     drop_all => bool;
        }
        /// What the function's driver says of itself.
        pub(crate) VF_STATE(u32) @ 0x0060 {
            /// 0 from when it is loaded and has set the function up.
            0:0     not_ready => bool;
        }
        /// Starts the write-back of cached queue contexts.
        pub(crate) CACHE_WB_START(u32) @ 0x0204 {
            0:0     start => bool;
        }
        /// End of the write-back.
        pub(crate) CACHE_WB_DONE(u32) @ 0x0208 {
            0:0     done => bool;
        }
        /// First word of the mailbox.
        pub(crate) MAILBOX(u32) @ 0x0300 {
            /// 0 if the command succeeded.
            12:9    status;
            /// The command is not finished.
            13:13   busy => bool;
            /// The command.
            7:0     command;
        }
        /// Doorbell of an SQ or a CQ; 64 bit.
        pub(crate) DOORBELL(u64) @ 0x1000 {
            /// Number of the queue within the function.
            10:0    queue;
            /// 0 for an SQ.
            15:12   command;
            47:32   index;
            /// 1, for an SQ with index 0, restarts the function's queue from its context.
            63:48   priority;
        }
    }
}

/// A VF's own BAR 2: the function block, and the doorbell behind it.
pub(crate) mod vf_bar {
    use kernel::register;

    /// Bytes of the BAR.
    pub(crate) const SIZE: usize = 0x10000;

    register! {
        /// Doorbell of the EQ or of the AEQ; 64 bit.
        pub(crate) EVENT_DOORBELL(u64) @ 0x2000 {
            /// 2 for the EQ, 3 for the AEQ.
            15:12   command;
            /// The first event that the driver has not handled.
            47:32   index;
        }
    }
}

/// Migration registers in the upper half of a VF's BAR 2, which is not for the user.
pub(crate) mod vf_ctrl {
    use kernel::register;

    register! {
        /// Context of the EQ.
        pub(crate) EQC(u32)[7] @ 0x8000 {
            31:0 value;
        }
        /// Context of the AEQ.
        pub(crate) AEQC(u32)[7] @ 0x8020 {
            31:0 value;
        }
    }
}

/// Window in the PF's BAR 2 onto a function: its function block, and its migration registers
/// where that has none.
pub(crate) mod pf_ctrl {
    use kernel::register;

    /// Bytes of a window.
    pub(crate) const SIZE: usize = super::function::SIZE;
    /// Where the window of function 0, the PF itself, starts.
    pub(crate) const START: usize = 0x180000;
    /// Functions that have a window.
    pub(crate) const WINDOWS: usize = 64;

    register! {
        /// Context of the EQ.
        pub(crate) EQC(u32)[7] @ 0x1c00 {
            31:0 value;
        }
        /// Context of the AEQ.
        pub(crate) AEQC(u32)[7] @ 0x1c20 {
            31:0 value;
        }
    }

    const _: () = assert!(START + WINDOWS * SIZE <= super::pf::SIZE);

    /// Where the window of `function` starts, if it has one.
    pub(crate) fn window_start(function: u32) -> Option<usize> {
        let function = usize::try_from(function).ok()?;
        (function < WINDOWS).then(|| START + function * SIZE)
    }
}

/// Registers that only the PF has.
pub(crate) mod pf {
    use kernel::register;

    /// Bytes of the PF's BAR 2 that hold all of them.
    pub(crate) const SIZE: usize = 0x302000;

    register! {
        /// Doorbell isolation of all functions; the match data carry it.
        pub(crate) QUE_ISO_CFG(u32) @ 0x0030 {
            31:0 value;
        }
        /// Errors of the QM.
        pub(crate) ABNORMAL_INT_STATUS(u32) @ 0x100008 {
            31:0 value;
        }
        /// Where the migration registers are; from hardware V4 on.
        pub(crate) MIG_REGION_SEL(u32) @ 0x100198 {
            /// In the PF's BAR 2, and no longer in that of the VF.
            0:0     in_pf => bool;
        }
        /// Errors of a SEC engine.
        pub(crate) SEC_CORE_INT_STATUS(u32) @ 0x301008 {
            31:0 value;
        }
        /// Errors of an HPRE engine.
        pub(crate) HPRE_HAC_INT_STATUS(u32) @ 0x301800 {
            31:0 value;
        }
        /// Errors of a ZIP engine.
        pub(crate) ZIP_CORE_INT_STATUS(u32) @ 0x3010ac {
            31:0 value;
        }
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_regs)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_one_another_up_to_the_last() {
        assert_eq!(pf_ctrl::window_start(0), Some(0x180000));
        assert_eq!(pf_ctrl::window_start(1), Some(0x182000));
        assert_eq!(pf_ctrl::window_start(63), Some(0x1fe000));
        assert_eq!(pf_ctrl::window_start(64), None);
        assert_eq!(pf_ctrl::window_start(u32::MAX), None);
    }
}
