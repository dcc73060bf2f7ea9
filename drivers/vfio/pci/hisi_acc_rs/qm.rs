// SPDX-License-Identifier: GPL-2.0

//! The queue managers (QM) of a VF and of its PF, and where their registers are.

pub(crate) mod pf;
mod poll;
pub(crate) mod registers;
pub(crate) mod vf;
