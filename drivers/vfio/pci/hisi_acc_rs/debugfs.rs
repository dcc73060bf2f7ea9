// SPDX-License-Identifier: GPL-2.0

//! Files for debugging, below `vfio/<device>/migration/hisi_acc/`.
//!
//! Reading any of them changes nothing: no register is written, no command is given. Their
//! formats are in `Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs`.

mod attr;
mod data;
mod debug;

pub(crate) use self::debug::Outcome;

use crate::device::HisiAcc;
use kernel::sync::aref::ARef;
use vfio::device::Device;

/// The folder of a device.
pub(crate) type Folder = vfio::debugfs::Folder<HisiAcc>;

/// Makes the folder of `dev` and the files in it.
pub(crate) fn create(dev: &ARef<Device<HisiAcc>>) -> Option<Folder> {
    let folder = Folder::in_migration(dev, c"hisi_acc")?;
    folder.add::<attr::Attr>();
    folder.add::<data::Data>();
    folder.add::<debug::Debug>();
    Some(folder)
}
