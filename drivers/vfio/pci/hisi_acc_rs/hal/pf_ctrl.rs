// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the PF's BAR 2, in a window for each function.
//!
//! The window has no doorbell of the event queues: that would be right behind the function block,
//! where the next function's window starts. They are rung through the VF's own BAR.

use super::{
    EventContexts,
    Hal, //
};
use crate::{
    ffi::{
        PfQm,
        PfWindow, //
    },
    regs::{
        function,
        pf_ctrl::{
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

/// The VF's window.
pub(super) struct PfCtrl(PfWindow);

impl PfCtrl {
    /// The window of `function` of `pf`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it has none.
    pub(super) fn new(pf: &PfQm, function: u32) -> Result<Self> {
        Ok(Self(pf.window(function)?))
    }
}

impl Hal for PfCtrl {
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>> {
        self.0.io()
    }

    fn function_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    event_contexts!(EQC, AEQC);
}
