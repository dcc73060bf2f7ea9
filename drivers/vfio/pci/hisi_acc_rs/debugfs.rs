// SPDX-License-Identifier: GPL-2.0

//! Files for debugging, below `vfio/<device>/migration/hisi_acc/`.
//!
//! Reading any of them changes nothing: no register is written, no command is given. Their
//! formats are in `Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs`.

mod attr;
mod cmd_state;
mod data;
mod debug;
mod dev_data;
mod match_data;
mod sessions;

pub(crate) use self::debug::Outcome;

use crate::{
    device::HisiAcc,
    open::Open, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use vfio::device::Device;

/// The folder of a device.
pub(crate) type Folder = vfio::debugfs::Folder<HisiAcc>;

/// Makes the folder of `dev` and the files in it.
pub(crate) fn create(dev: &ARef<Device<HisiAcc>>) -> Option<Folder> {
    let folder = Folder::in_migration(dev, c"hisi_acc")?;
    folder.add::<attr::Attr>();
    folder.add::<cmd_state::CmdState>();
    folder.add::<data::Data>();
    folder.add::<debug::Debug>();
    folder.add::<dev_data::DevData>();
    folder.add::<match_data::Match>();
    folder.add::<data::MigfData>();
    Some(folder)
}

/// Runs `read` on the open device `dev`, which it may read registers of.
///
/// # Errors
///
/// [`ENODEV`] if nobody has the device open, [`EBUSY`] if it sleeps or is being reset, and those
/// of `read`.
fn with_registers<R>(dev: &Device<HisiAcc>, read: impl FnOnce(&Open) -> Result<R>) -> Result<R> {
    let mig = dev.mig().ok_or(ENODEV)?;
    mig.machine.with(|vf| {
        let open = vf.open.as_ref().ok_or(ENODEV)?;
        if mig.machine.in_reset() {
            return Err(EBUSY);
        }
        let _awake = dev.core().awake().ok_or(EBUSY)?;
        read(open)
    })
}
