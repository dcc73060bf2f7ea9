// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the VF's own BAR 2.

use super::{
    EventContexts,
    EventHeads,
    RegisterPlacement, //
};
use crate::regs::{
    function, vf_bar,
    vf_ctrl::{
        AEQC,
        EQC, //
    },
};
use kernel::{
    io::{
        register::Array,
        Io,
        Mmio,
        Region, //
    },
    prelude::*, //
};
use vfio::io::{
    as_ptr,
    prefix, //
};

/// The VF's BAR 2, all of it.
#[derive(Clone, Copy)]
pub(crate) struct VfCtrl<'a>(pub(crate) Mmio<'a, Region<{ vf_bar::SIZE }>>);

impl RegisterPlacement for VfCtrl<'_> {
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>> {
        prefix(self.0)
    }

    fn function_ptr(&self) -> *mut c_void {
        as_ptr(self.0)
    }

    event_contexts!(EQC, AEQC);
}
