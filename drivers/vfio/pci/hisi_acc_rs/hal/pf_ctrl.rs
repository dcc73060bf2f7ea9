// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the PF's BAR 2, in a window for each function.
//!
//! The window has no doorbell of the event queues: that would be right behind the function block,
//! where the next function's window starts. They are rung through the VF's own BAR.

use super::{
    EventContexts,
    EventHeads,
    RegisterPlacement, //
};
use crate::{
    regs::{
        function,
        pf_ctrl::{
            self,
            AEQC,
            EQC, //
        }, //
    }, //
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
use vfio::io::as_ptr;

/// The VF's window.
#[derive(Clone, Copy)]
pub(crate) struct PfCtrl<'a>(pub(crate) Mmio<'a, Region<{ pf_ctrl::SIZE }>>);

impl RegisterPlacement for PfCtrl<'_> {
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>> {
        self.0
    }

    fn function_ptr(&self) -> *mut c_void {
        as_ptr(self.0)
    }

    event_contexts!(EQC, AEQC);
}
