// SPDX-License-Identifier: GPL-2.0

//! Files for debugging, below `vfio/<device>/migration/hisi_acc/`.
//!
//! Reading any of them changes nothing: no register is written, no command is given. Their
//! formats are in `Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs`.

mod access;
mod attr;
mod cmd_state;
mod debug;
mod migration_data;
mod sessions;

use crate::device::HisiAcc;
use vfio::debugfs::{
    Directory,
    Entry, //
};

/// The directory of a device, and the files in it.
pub(crate) const DIRECTORY: Option<Directory<HisiAcc>> = Some(Directory::new(c"hisi_acc", FILES));

const FILES: &[Entry<HisiAcc>] = &[
    Entry::file::<attr::Attr>(),
    Entry::file::<cmd_state::CmdState>(),
    Entry::file::<migration_data::Data>(),
    Entry::file::<debug::Debug>(),
    Entry::file::<migration_data::DevData>(),
    Entry::file::<migration_data::Match>(),
    Entry::file::<migration_data::MigfData>(),
];
