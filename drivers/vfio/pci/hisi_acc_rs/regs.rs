// SPDX-License-Identifier: GPL-2.0

//! Registers of the queue manager (QM), as far as migration needs them.
//!
//! - EQ, AEQ: queues of completion events and of abnormal events, EQC and AEQC their contexts
//! - IFC: messages between a PF and its VFs
//! - SQ, CQ: queues of requests and of completions
//!
//! All registers are 32 bits wide and little endian, except for the doorbells.

/// Index of the BAR that holds the registers, and of its VFIO region.
pub(crate) const BAR2: u32 = 2;

/// The function block, which is the same in the BAR 2 of the PF and of every VF, from offset 0.
pub(crate) mod function {
    use kernel::register;

    /// Size of the part of the block that is accessible in each placement.
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
        /// Pending messages from the PF; writing 1 clears.
        pub(crate) IFC_INT_SOURCE(u32) @ 0x0020 {
            31:0 value;
        }
        /// Interrupt mask of messages from the PF; 1 masks.
        pub(crate) IFC_INT_MASK(u32) @ 0x0024 {
            31:0 value;
        }
        /// Pending messages from the PF that are not masked.
        pub(crate) IFC_INT_STATUS(u32) @ 0x0028 {
            31:0 value;
        }
        /// Messages to the PF; writing 1 sends, and the bit reads as 1 until the PF has taken the
        /// message.
        pub(crate) IFC_INT_SET(u32) @ 0x002c {
            31:0 value;
        }
        /// Isolation of the doorbells.
        pub(crate) QUE_ISO_CFG(u32) @ 0x0030 {
            31:0 value;
        }
        /// Page size chosen by the function's driver.
        pub(crate) PAGE_SIZE(u32) @ 0x0034 {
            31:0 value;
        }
        /// Drops all doorbells of the function; hardware V5 and later.
        pub(crate) FUN_DB_DROP(u32) @ 0x0038 {
            0:0     drop_all => bool;
        }
        /// State of the function's driver.
        pub(crate) VF_STATE(u32) @ 0x0060 {
            /// 0 once the driver is loaded and has set the function up.
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
            /// The command, a `MailboxCommand` of `qm::vf`; 0xe pauses the function.
            7:0     command;
        }
        /// Doorbell of an SQ or a CQ; 64 bits.
        pub(crate) DOORBELL(u64) @ 0x1000 {
            /// Number of the queue within the function.
            10:0    queue;
            /// 0 for an SQ.
            15:12   command;
            47:32   index;
            /// 1 restarts the function's queue from its context, for an SQ with index 0.
            63:48   priority;
        }
    }
}

/// A VF's own BAR 2: the function block, followed by the doorbell of the event queues.
pub(crate) mod vf_bar {
    use kernel::register;

    /// Size of the BAR.
    pub(crate) const SIZE: usize = 0x10000;

    register! {
        /// Doorbell of the EQ or of the AEQ; 64 bits.
        pub(crate) EVENT_DOORBELL(u64) @ 0x2000 {
            /// 2 for the EQ, 3 for the AEQ.
            15:12   command;
            /// The first event that the driver has not handled.
            47:32   index;
        }
    }
}

/// Migration registers in the upper half of a VF's BAR 2, which the user cannot access.
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

/// A function's window in the PF's BAR 2: the function block, and the migration registers in a gap
/// of the block.
pub(crate) mod pf_ctrl {
    use kernel::register;

    /// Size of a window.
    pub(crate) const SIZE: usize = super::function::SIZE;
    /// Start of the window of function 0, which is the PF itself.
    pub(crate) const START: usize = 0x180000;
    /// Number of functions that have a window.
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

    /// Returns the start of the window of `function`, if there is one.
    pub(crate) fn window_start(function: u32) -> Option<usize> {
        let function = usize::try_from(function).ok()?;
        (function < WINDOWS).then(|| START + function * SIZE)
    }
}

/// Registers of the PF only.
pub(crate) mod pf {
    use kernel::register;

    /// Size of the part of the PF's BAR 2 that holds all of them.
    pub(crate) const SIZE: usize = 0x302000;

    register! {
        /// Doorbell isolation of all functions; part of the match data.
        pub(crate) QUE_ISO_CFG(u32) @ 0x0030 {
            31:0 value;
        }
        /// Errors of the QM.
        pub(crate) ABNORMAL_INT_STATUS(u32) @ 0x100008 {
            31:0 value;
        }
        /// Placement of the migration registers; hardware V4 and later.
        pub(crate) MIG_REGION_SEL(u32) @ 0x100198 {
            /// They are in the PF's BAR 2 rather than in the VF's.
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

#[kernel::prelude::kunit_tests(hisi_acc_rs_regs)]
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
