// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs: those of VFIO core and those of the driver.

pub(super) mod core_tree;
pub(super) mod hisi;
