// SPDX-License-Identifier: GPL-2.0

//! VMs of this program migrate from one VF to another.

pub(super) mod ten_rounds;
pub(super) mod three_engines;
pub(super) mod trace;
