// SPDX-License-Identifier: GPL-2.0

//! Registers of a function whose arc has failed, for debugfs. Reading them has no side effects.

use crate::{
    qm::vf::BoundVfQm,
    regs::{
        function::{
            CACHE_WB_DONE,
            IFC_INT_SET,
            IFC_INT_STATUS,
            MAILBOX,
            VF_STATE, //
        },
        pf, //
    }, //
};
use bitflags::bitflags;
use core::fmt::Write;
use kernel::{
    fmt,
    io::Io,
    prelude::*, //
};

bitflags! {
    /// Errors of the queue manager, the bits of `QM_ABNORMAL_INT_STATUS`.
    ///
    /// C: `qm_hw_error` in `drivers/crypto/hisilicon/qm.c`, whose messages have the same names.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct QmErrors: u32 {
        const QM_AXI_RRESP = 1 << 0;
        const QM_AXI_BRESP = 1 << 1;
        const QM_ECC_MBIT = 1 << 2;
        const QM_ECC_1BIT = 1 << 3;
        const QM_ACC_GET_TASK_TIMEOUT = 1 << 4;
        const QM_ACC_DO_TASK_TIMEOUT = 1 << 5;
        const QM_ACC_WB_NOT_READY_TIMEOUT = 1 << 6;
        const QM_SQ_CQ_VF_INVALID = 1 << 7;
        const QM_CQ_VF_INVALID = 1 << 8;
        const QM_SQ_VF_INVALID = 1 << 9;
        const QM_DB_TIMEOUT = 1 << 10;
        const QM_OF_FIFO_OF = 1 << 11;
        const QM_DB_RANDOM_INVALID = 1 << 12;
        const QM_MAILBOX_TIMEOUT = 1 << 13;
        const QM_FLR_TIMEOUT = 1 << 14;
    }
}

/// Prints the names separated by commas, as the PF's driver logs them, and unnamed bits as one
/// number; prints `-` if no bit is set.
impl fmt::Display for QmErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, _) in self.iter_names() {
            f.write_str(separator)?;
            for letter in name.chars() {
                f.write_char(letter.to_ascii_lowercase())?;
            }
            separator = ",";
        }
        let unnamed = self.difference(Self::all()).bits();
        if unnamed != 0 {
            f.write_fmt(fmt!("{separator}{unnamed:#x}"))
        } else if self.is_empty() {
            f.write_str("-")
        } else {
            Ok(())
        }
    }
}

/// The registers that arcs depend on, as they were after an arc failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailureRegisters {
    mailbox: u32,
    vf_state: u32,
    ifc_int_status: u32,
    ifc_int_set: u32,
    cache_wb_done: u32,
    abnormal_int_status: QmErrors,
    core_int_status: u32,
}

impl FailureRegisters {
    /// Reads the registers of the function `vf`. Returns `None` if the PF is stopped.
    pub(crate) fn read(vf: &BoundVfQm<'_>) -> Option<Self> {
        let link = vf.pf_link();
        if link.pf.is_stopped() {
            return None;
        }
        let io = vf.registers().function_block();
        Some(Self {
            mailbox: io.read(MAILBOX).into_raw(),
            vf_state: io.read(VF_STATE).into_raw(),
            ifc_int_status: io.read(IFC_INT_STATUS).into_raw(),
            ifc_int_set: io.read(IFC_INT_SET).into_raw(),
            cache_wb_done: io.read(CACHE_WB_DONE).into_raw(),
            abnormal_int_status: QmErrors::from_bits_retain(
                link.pf.io().read(pf::ABNORMAL_INT_STATUS).into_raw(),
            ),
            core_int_status: link.pf.core_int_status(link.engine),
        })
    }
}

impl fmt::Display for FailureRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            ("mailbox", self.mailbox),
            ("vf_state", self.vf_state),
            ("ifc_int_status", self.ifc_int_status),
            ("ifc_int_set", self.ifc_int_set),
            ("cache_wb_done", self.cache_wb_done),
            ("abnormal_int_status", self.abnormal_int_status.bits()),
            ("core_int_status", self.core_int_status),
        ];
        for (number, (name, value)) in words.into_iter().enumerate() {
            let space = if number > 0 { " " } else { "" };
            f.write_fmt(fmt!("{space}{name}={value:#x}"))?;
        }
        f.write_fmt(fmt!(" qm_errors={}", self.abnormal_int_status))
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_failure_registers)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn errors_have_the_names_of_the_log() -> Result {
        for (bits, text) in [
            (0, b"-".as_slice()),
            (1 << 0 | 1 << 10, b"qm_axi_rresp,qm_db_timeout"),
            (1 << 14, b"qm_flr_timeout"),
            (1 << 15, b"0x8000"),
            (1 << 13 | 3 << 15, b"qm_mailbox_timeout,0x18000"),
        ] {
            let shown = CString::try_from_fmt(fmt!("{}", QmErrors::from_bits_retain(bits)))?;
            assert_eq!(shown.to_bytes(), text);
        }
        Ok(())
    }
}
