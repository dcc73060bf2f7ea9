// SPDX-License-Identifier: GPL-2.0

//! Debugfs files, in the directory `vfio/<device>/migration/hisi_acc/`.
//!
//! Reading a file never changes the device: no register is written and no command is given.
//! `Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs` describes the formats.

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

/// Directory of a device, with its files.
pub(crate) const DIRECTORY: Directory<HisiAcc> = Directory::new(c"hisi_acc", FILES);

const FILES: &[Entry<HisiAcc>] = &[
    Entry::file::<attr::Attr>(),
    Entry::file::<cmd_state::CmdState>(),
    Entry::file::<migration_data::Data>(),
    Entry::file::<debug::Debug>(),
    Entry::file::<migration_data::DevData>(),
    Entry::file::<migration_data::Match>(),
    Entry::file::<migration_data::MigfData>(),
];
