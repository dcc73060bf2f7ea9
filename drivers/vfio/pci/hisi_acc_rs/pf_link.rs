// SPDX-License-Identifier: GPL-2.0

//! What does not change about a VF while it is bound.

use crate::{
    engine::Engine,
    ffi::PfQm, //
};

/// A VF and its PF.
#[derive(Clone, Copy)]
pub(crate) struct PfLink {
    pub(crate) engine: Engine,
    pub(crate) pf: PfQm,
    /// The VF's number in the PF's tables; the PF itself is 0.
    pub(crate) function: u32,
}
