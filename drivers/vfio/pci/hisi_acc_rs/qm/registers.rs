// SPDX-License-Identifier: GPL-2.0

//! Where a VF's migration registers are.
//!
//! On hardware V3 they are in the VF's own BAR 2. Later hardware can place them in the PF's BAR 2,
//! in a window for each function. The window has no doorbell of the event queues: this would be
//! right behind the function block, where the next function's window starts. The doorbell in the
//! VF's own BAR is used instead.

use super::pf::{
    PfQm,
    PfWindow,
    V3, //
};
use crate::regs::{
    function,
    pf,
    pf_ctrl,
    vf_bar,
    vf_ctrl, //
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
    prefix,
    BarMap, //
};

/// Mapping of a VF's own BAR 2.
pub(crate) type VfBar = BarMap<{ vf_bar::SIZE }>;

/// Contexts of a function's event queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventContexts {
    /// Context of the EQ.
    pub(crate) eqc: [u32; 7],
    /// Context of the AEQ.
    pub(crate) aeqc: [u32; 7],
}

/// Indices of the first events that the guest's driver has not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHeads {
    pub(crate) eq: u16,
    pub(crate) aeq: u16,
}

impl EventHeads {
    /// Extracts the heads from the first words of the two contexts.
    fn from_words(eqc: u32, aeqc: u32) -> Self {
        // CAST: The head is the lower half of the word.
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

/// Placement of the migration registers of a PF's VFs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterPlacement {
    /// In the upper half of the VF's own BAR 2.
    VfBar,
    /// In a window of the PF's BAR 2.
    PfWindow,
}

impl RegisterPlacement {
    /// Reads the placement that `pf` uses. Its driver sets it before it creates VFs.
    pub(crate) fn read(pf: &PfQm) -> Self {
        // Hardware up to V3 does not have this register.
        if pf.version() > V3 && pf.io().read(pf::MIG_REGION_SEL).in_pf() {
            Self::PfWindow
        } else {
            Self::VfBar
        }
    }

    /// Returns the name that debugfs shows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::VfBar => "vf",
            Self::PfWindow => "pf",
        }
    }

    /// Returns the window of `pf` for the VF that is `function` in its tables, or `None` if the
    /// registers are in the VF's own BAR.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the PF has no window for the VF.
    pub(crate) fn window(self, pf: &PfQm, function: u32) -> Result<Option<PfWindow>> {
        match self {
            Self::VfBar => Ok(None),
            Self::PfWindow => pf.window(function).map(Some),
        }
    }
}

/// The registers of one VF, while it is bound.
#[derive(Clone, Copy)]
pub(crate) enum Registers<'a> {
    /// See [`RegisterPlacement::VfBar`]. Contains the VF's BAR 2.
    VfBar(Mmio<'a, Region<{ vf_bar::SIZE }>>),
    /// See [`RegisterPlacement::PfWindow`]. Contains the VF's window.
    PfWindow(Mmio<'a, Region<{ pf_ctrl::SIZE }>>),
}

impl<'a> Registers<'a> {
    /// Returns the VF's function block.
    pub(crate) fn function_block(&self) -> Mmio<'a, Region<{ function::SIZE }>> {
        match *self {
            Self::VfBar(bar) => prefix(bar),
            Self::PfWindow(window) => window,
        }
    }

    /// Returns the address of the function block, for hisi_qm; valid as long as the mapping exists.
    pub(crate) fn function_block_ptr(&self) -> *mut c_void {
        match *self {
            Self::VfBar(bar) => as_ptr(bar),
            Self::PfWindow(window) => as_ptr(window),
        }
    }

    /// Reads a word of the EQ's context.
    #[inline(always)]
    fn eqc<const WORD: usize>(&self) -> u32 {
        match *self {
            Self::VfBar(bar) => bar.read(vf_ctrl::EQC::at(WORD)).into_raw(),
            Self::PfWindow(window) => window.read(pf_ctrl::EQC::at(WORD)).into_raw(),
        }
    }

    /// Reads a word of the AEQ's context.
    #[inline(always)]
    fn aeqc<const WORD: usize>(&self) -> u32 {
        match *self {
            Self::VfBar(bar) => bar.read(vf_ctrl::AEQC::at(WORD)).into_raw(),
            Self::PfWindow(window) => window.read(pf_ctrl::AEQC::at(WORD)).into_raw(),
        }
    }

    /// Writes a word of the EQ's context.
    #[inline(always)]
    fn set_eqc<const WORD: usize>(&self, context: &[u32; 7]) {
        let value = context[WORD];
        match *self {
            Self::VfBar(bar) => bar.write(vf_ctrl::EQC::at(WORD), vf_ctrl::EQC::from_raw(value)),
            Self::PfWindow(window) => {
                window.write(pf_ctrl::EQC::at(WORD), pf_ctrl::EQC::from_raw(value))
            }
        }
    }

    /// Writes a word of the AEQ's context.
    #[inline(always)]
    fn set_aeqc<const WORD: usize>(&self, context: &[u32; 7]) {
        let value = context[WORD];
        match *self {
            Self::VfBar(bar) => bar.write(vf_ctrl::AEQC::at(WORD), vf_ctrl::AEQC::from_raw(value)),
            Self::PfWindow(window) => {
                window.write(pf_ctrl::AEQC::at(WORD), pf_ctrl::AEQC::from_raw(value))
            }
        }
    }

    /// Reads the contexts of the event queues.
    pub(crate) fn event_contexts(&self) -> EventContexts {
        EventContexts {
            eqc: [
                self.eqc::<0>(),
                self.eqc::<1>(),
                self.eqc::<2>(),
                self.eqc::<3>(),
                self.eqc::<4>(),
                self.eqc::<5>(),
                self.eqc::<6>(),
            ],
            aeqc: [
                self.aeqc::<0>(),
                self.aeqc::<1>(),
                self.aeqc::<2>(),
                self.aeqc::<3>(),
                self.aeqc::<4>(),
                self.aeqc::<5>(),
                self.aeqc::<6>(),
            ],
        }
    }

    /// Reads the address of the EQ from its context. It is 0 if the function has no EQ.
    pub(crate) fn eq_address(&self) -> u64 {
        let low = self.eqc::<1>();
        let high = self.eqc::<2>();
        u64::from(high) << 32 | u64::from(low)
    }

    /// Reads the heads of the event queues from their contexts.
    pub(crate) fn event_heads(&self) -> EventHeads {
        EventHeads::from_words(self.eqc::<0>(), self.aeqc::<0>())
    }

    /// Writes the contexts of the event queues.
    pub(crate) fn set_event_contexts(&self, contexts: &EventContexts) {
        let EventContexts { eqc, aeqc } = contexts;
        self.set_eqc::<0>(eqc);
        self.set_eqc::<1>(eqc);
        self.set_eqc::<2>(eqc);
        self.set_eqc::<3>(eqc);
        self.set_eqc::<4>(eqc);
        self.set_eqc::<5>(eqc);
        self.set_eqc::<6>(eqc);
        self.set_aeqc::<0>(aeqc);
        self.set_aeqc::<1>(aeqc);
        self.set_aeqc::<2>(aeqc);
        self.set_aeqc::<3>(aeqc);
        self.set_aeqc::<4>(aeqc);
        self.set_aeqc::<5>(aeqc);
        self.set_aeqc::<6>(aeqc);
    }
}
