// SPDX-License-Identifier: GPL-2.0

//! Where a VF's migration registers are.
//!
//! Hardware V3 has them in the VF's own BAR 2 ([`vf_ctrl`]); later hardware can have them in the
//! PF's. What is the same in both is written once, against [`Hal`].

pub(crate) mod vf_ctrl;

use crate::regs::function;
use kernel::{
    io::{
        Mmio,
        Region, //
    },
    prelude::*, //
};

/// The contexts of a function's event queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventContexts {
    /// Context of the EQ.
    pub(crate) eqc: [u32; 7],
    /// Context of the AEQ.
    pub(crate) aeqc: [u32; 7],
}

/// A way to reach the registers of one VF.
pub(crate) trait Hal: Send + Sync + 'static {
    /// Name of the way, in `attr`.
    const NAME: &'static str;

    /// The VF's function block.
    fn function(&self) -> Mmio<'_, Region<{ function::SIZE }>>;

    /// Address of the function block, for hisi_qm; good for as long as `self` lives.
    fn function_ptr(&self) -> *mut c_void;

    /// Reads the contexts of the event queues.
    fn event_contexts(&self) -> EventContexts;

    /// Writes the contexts of the event queues, which arms their interrupts.
    fn set_event_contexts(&self, contexts: &EventContexts);
}
