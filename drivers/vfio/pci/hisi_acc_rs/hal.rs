// SPDX-License-Identifier: GPL-2.0

//! Where a VF's migration registers are.
//!
//! Hardware V3 has them in the VF's own BAR 2 ([`vf_ctrl`]); later hardware can have them in the
//! PF's. What is the same in both is written once, against [`RegisterPlacement`].

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

/// The part of [`RegisterPlacement`] that only differs in where the contexts `$eqc` and `$aeqc` are, for a type
/// whose first field are the registers.
macro_rules! event_contexts {
    ($eqc:ident, $aeqc:ident) => {
        fn event_contexts(&self) -> EventContexts {
            let io = self.0;
            EventContexts {
                eqc: read_array!(io, $eqc),
                aeqc: read_array!(io, $aeqc),
            }
        }

        fn eq_address(&self) -> u64 {
            let io = self.0;
            let low = io.read($eqc::at(1)).into_raw();
            let high = io.read($eqc::at(2)).into_raw();
            u64::from(high) << 32 | u64::from(low)
        }

        fn event_heads(&self) -> EventHeads {
            let io = self.0;
            EventHeads::from_words(
                io.read($eqc::at(0)).into_raw(),
                io.read($aeqc::at(0)).into_raw(),
            )
        }

        fn set_event_contexts(&self, contexts: &EventContexts) {
            let io = self.0;
            write_array!(io, $eqc, contexts.eqc);
            write_array!(io, $aeqc, contexts.aeqc);
        }
    };
}

mod pf_ctrl;
mod vf_ctrl;

pub(crate) use self::{
    pf_ctrl::PfCtrl,
    vf_ctrl::VfCtrl, //
};

use crate::{
    ffi::{
        PfQm,
        PfWindow,
        V3, //
    },
    regs::{
        function,
        pf,
        vf_bar, //
    }, //
};
use core::ops::Deref;
use kernel::{
    io::{
        Io,
        Mmio,
        Region, //
    },
    prelude::*, //
};
use vfio::io::BarMap;

/// Index of the BAR that the registers are in, and of its region.
pub(crate) const BAR2: u32 = 2;

/// A VF's own BAR 2, all of it.
pub(crate) type VfBar = BarMap<{ vf_bar::SIZE }>;

/// The contexts of a function's event queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventContexts {
    /// Context of the EQ.
    pub(crate) eqc: [u32; 7],
    /// Context of the AEQ.
    pub(crate) aeqc: [u32; 7],
}

/// The first events that the guest's driver has not handled, as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHeads {
    pub(crate) eq: u16,
    pub(crate) aeq: u16,
}

impl EventHeads {
    /// Takes them from the first words of the two contexts.
    fn from_words(eqc: u32, aeqc: u32) -> Self {
        // CAST: The lower half of each word.
        Self {
            eq: eqc as u16,
            aeq: aeqc as u16,
        }
    }
}

impl EventContexts {
    /// Returns the heads of the event queues.
    pub(crate) fn heads(&self) -> EventHeads {
        EventHeads::from_words(self.eqc[0], self.aeqc[0])
    }
}

/// The registers of one VF.
pub(crate) trait RegisterPlacement {
    /// The VF's function block.
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>>;

    /// Address of the function block, for hisi_qm; good for as long as the mapping lasts.
    fn function_ptr(&self) -> *mut c_void;

    /// Reads the contexts of the event queues.
    fn event_contexts(&self) -> EventContexts;

    /// Reads the address of the EQ from its context; 0 if the function has no EQ.
    fn eq_address(&self) -> u64;

    /// Reads the heads of the event queues from their contexts.
    fn event_heads(&self) -> EventHeads;

    /// Writes the contexts of the event queues.
    fn set_event_contexts(&self, contexts: &EventContexts);
}

/// Where the migration registers of a PF's VFs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the upper half of the VF's own BAR 2.
    VfCtrl,
    /// In a window of the PF's BAR 2.
    PfCtrl,
}

impl Mode {
    /// The mode that `pf` is in. Its driver sets it before there are any VFs.
    pub(crate) fn of(pf: &PfQm) -> Self {
        // Up to V3 there is no such register.
        if pf.version() > V3 && pf.io().read(pf::MIG_REGION_SEL).in_pf() {
            Self::PfCtrl
        } else {
            Self::VfCtrl
        }
    }

    /// Its name in debugfs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::VfCtrl => "vf",
            Self::PfCtrl => "pf",
        }
    }

    /// Returns the window of `pf` onto the VF that is `function` in its tables, if the registers
    /// are there.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the PF has no window for the VF.
    pub(crate) fn window(self, pf: &PfQm, function: u32) -> Result<Option<PfWindow>> {
        match self {
            Self::VfCtrl => Ok(None),
            Self::PfCtrl => pf.window(function).map(Some),
        }
    }
}

/// The registers of one VF, while it is bound. Dereferences to [`RegisterPlacement`].
#[derive(Clone, Copy)]
pub(crate) enum Registers<'a> {
    /// See [`Mode::VfCtrl`].
    VfCtrl(VfCtrl<'a>),
    /// See [`Mode::PfCtrl`].
    PfCtrl(PfCtrl<'a>),
}

impl<'a> Deref for Registers<'a> {
    type Target = dyn RegisterPlacement + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::VfCtrl(registers) => registers,
            Self::PfCtrl(registers) => registers,
        }
    }
}
