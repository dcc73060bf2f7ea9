// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the VF's own BAR 2.

use super::{
    EventContexts,
    Hal,
    BAR2, //
};
use crate::regs::{
    function,
    vf_ctrl::{
        AEQC,
        EQC,
        SIZE, //
    },
};
use kernel::{
    io::{
        register::Array,
        Io,
        Mmio,
        Region, //
    },
    pci,
    prelude::*, //
};
use vfio::io::BarMap;

/// The VF's BAR 2, all of it.
pub(super) struct VfCtrl(BarMap<SIZE>);

impl VfCtrl {
    /// Maps the registers of the VF `pdev`.
    ///
    /// # Errors
    ///
    /// [`EIO`] if BAR 2 is too short or cannot be mapped.
    pub(super) fn new(pdev: &pci::Device) -> Result<Self> {
        Ok(Self(BarMap::new(pdev, BAR2)?))
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
