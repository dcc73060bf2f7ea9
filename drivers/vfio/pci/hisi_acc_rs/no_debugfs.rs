// SPDX-License-Identifier: GPL-2.0

//! What stands for `debugfs` where the VFIO core has none: no directory, no files, no commands.

use crate::device::HisiAcc;
use vfio::debugfs::Directory;

/// The directory of a device: there is none.
pub(crate) const DIRECTORY: Option<Directory<HisiAcc>> = None;
