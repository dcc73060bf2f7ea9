// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the VF's own BAR 2.

use super::{
    EventContexts,
    Hal,
    VfBar, //
};
use crate::regs::{
    function,
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
    prelude::*,
    sync::Arc, //
};

/// The VF's BAR 2.
pub(super) struct VfCtrl(Arc<VfBar>);

impl VfCtrl {
    /// The registers of the VF whose BAR 2 is `bar`.
    pub(super) fn new(bar: Arc<VfBar>) -> Self {
        Self(bar)
    }
}

impl Hal for VfCtrl {
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>> {
        self.0.prefix()
    }

    fn function_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    event_contexts!(EQC, AEQC);
}
