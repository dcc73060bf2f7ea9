// SPDX-License-Identifier: GPL-2.0

//! Replaces `debugfs` if the VFIO core has no debugfs: no directory and no files.

use crate::device::HisiAcc;
use vfio::debugfs::Directory;

/// There is no directory.
pub(crate) const DIRECTORY: Option<Directory<HisiAcc>> = None;
