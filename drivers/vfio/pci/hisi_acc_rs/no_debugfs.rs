// SPDX-License-Identifier: GPL-2.0

//! What stands for `debugfs` where the VFIO core has none: no folder, no files, no commands.

use crate::device::HisiAcc;
use kernel::sync::aref::ARef;
use vfio::device::Device;

/// The folder of a device: there is none.
pub(crate) enum Folder {}

/// How a command went: there are none.
pub(crate) enum Outcome {}

/// Makes no folder.
pub(crate) fn create(_dev: &ARef<Device<HisiAcc>>) -> Option<Folder> {
    None
}
