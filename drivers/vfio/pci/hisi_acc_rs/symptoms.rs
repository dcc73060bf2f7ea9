// SPDX-License-Identifier: GPL-2.0

//! What the registers say of a function whose arc has failed, for debugfs. Reading them changes
//! nothing.

use crate::{
    ffi::BoundVfQm,
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
use kernel::{
    fmt,
    io::Io,
    prelude::*, //
};

/// The registers that an arc looks at, as they were when it had failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symptoms {
    mailbox: u32,
    vf_state: u32,
    ifc_int_status: u32,
    ifc_int_set: u32,
    cache_wb_done: u32,
    abnormal_int_status: u32,
    core_int_status: u32,
}

impl Symptoms {
    /// Reads the registers of the function `vf`, unless the PF is stopped.
    pub(crate) fn of(vf: &BoundVfQm<'_>) -> Option<Self> {
        let hw = vf.hw();
        if hw.pf.is_stopped() {
            return None;
        }
        let io = vf.hal().function();
        Some(Self {
            mailbox: io.read(MAILBOX).into_raw(),
            vf_state: io.read(VF_STATE).into_raw(),
            ifc_int_status: io.read(IFC_INT_STATUS).into_raw(),
            ifc_int_set: io.read(IFC_INT_SET).into_raw(),
            cache_wb_done: io.read(CACHE_WB_DONE).into_raw(),
            abnormal_int_status: hw.pf.io().read(pf::ABNORMAL_INT_STATUS).into_raw(),
            core_int_status: hw.pf.core_int_status(hw.engine),
        })
    }
}

impl fmt::Display for Symptoms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            ("mailbox", self.mailbox),
            ("vf_state", self.vf_state),
            ("ifc_int_status", self.ifc_int_status),
            ("ifc_int_set", self.ifc_int_set),
            ("cache_wb_done", self.cache_wb_done),
            ("abnormal_int_status", self.abnormal_int_status),
            ("core_int_status", self.core_int_status),
        ];
        for (number, (name, value)) in words.into_iter().enumerate() {
            let space = if number > 0 { " " } else { "" };
            f.write_fmt(fmt!("{space}{name}={value:#x}"))?;
        }
        Ok(())
    }
}
