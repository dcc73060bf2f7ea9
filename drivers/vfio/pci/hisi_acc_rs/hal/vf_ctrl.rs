// SPDX-License-Identifier: GPL-2.0

//! Migration registers in the VF's own BAR 2.

use super::{
    EventContexts,
    Hal, //
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
use vfio::{
    io::BarMap,
    region::BAR2, //
};

/// The VF's BAR 2, all of it.
pub(crate) struct VfCtrl(BarMap<SIZE>);

impl VfCtrl {
    /// Maps the registers of the VF `pdev`.
    ///
    /// # Errors
    ///
    /// [`EIO`] if BAR 2 is too short or cannot be mapped.
    pub(crate) fn new(pdev: &pci::Device) -> Result<Self> {
        Ok(Self(BarMap::new(pdev, BAR2)?))
    }
}

/// All registers of an array; its indices must be known when the driver is built.
macro_rules! read_array {
    ($io:expr, $register:ident) => {
        [
            $io.read($register::at(0)).into_raw(),
            $io.read($register::at(1)).into_raw(),
            $io.read($register::at(2)).into_raw(),
            $io.read($register::at(3)).into_raw(),
            $io.read($register::at(4)).into_raw(),
            $io.read($register::at(5)).into_raw(),
            $io.read($register::at(6)).into_raw(),
        ]
    };
}

macro_rules! write_array {
    ($io:expr, $register:ident, $values:expr) => {
        $io.write($register::at(0), $register::from_raw($values[0]));
        $io.write($register::at(1), $register::from_raw($values[1]));
        $io.write($register::at(2), $register::from_raw($values[2]));
        $io.write($register::at(3), $register::from_raw($values[3]));
        $io.write($register::at(4), $register::from_raw($values[4]));
        $io.write($register::at(5), $register::from_raw($values[5]));
        $io.write($register::at(6), $register::from_raw($values[6]));
    };
}

impl Hal for VfCtrl {
    const NAME: &'static str = "vf";

    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>> {
        self.0.prefix()
    }

    fn function_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    fn event_contexts(&self) -> EventContexts {
        let io = self.0.io();
        EventContexts {
            eqc: read_array!(io, EQC),
            aeqc: read_array!(io, AEQC),
        }
    }

    fn set_event_contexts(&self, contexts: &EventContexts) {
        let io = self.0.io();
        write_array!(io, EQC, contexts.eqc);
        write_array!(io, AEQC, contexts.aeqc);
    }
}
