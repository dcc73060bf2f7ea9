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
    ffi::BoundVfQm,
    mig::VfState, //
};
use kernel::{
    device::Bound,
    prelude::*, //
};
use vfio::{
    debugfs::{
        Directory,
        Entry, //
    },
    device::Device, //
};

/// The directory of a device, and the files in it.
pub(crate) const DIRECTORY: Option<Directory<HisiAcc>> = Some(Directory::new(c"hisi_acc", FILES));

const FILES: &[Entry<HisiAcc>] = &[
    Entry::file::<attr::Attr>(),
    Entry::file::<cmd_state::CmdState>(),
    Entry::file::<data::Data>(),
    Entry::file::<debug::Debug>(),
    Entry::file::<dev_data::DevData>(),
    Entry::file::<match_data::Match>(),
    Entry::file::<data::MigfData>(),
];

/// Runs `read` on the open device `dev`, which it may read registers of.
///
/// # Errors
///
/// [`ENODEV`] if nobody has the device open, [`EBUSY`] if it sleeps or if it or its PF is being
/// reset, and those of `read`.
fn with_registers<R>(
    dev: &Device<HisiAcc, Bound>,
    read: impl FnOnce(&VfState, &BoundVfQm<'_>) -> Result<R>,
) -> Result<R> {
    let mig = dev.mig().ok_or(ENODEV)?;
    mig.machine.with(|vf| {
        let open = vf.open.as_ref().ok_or(ENODEV)?;
        if mig.machine.in_reset() || vf.hw.pf.is_stopped() {
            return Err(EBUSY);
        }
        let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
        read(vf, &open.vf.access(dev.pdev())?)
    })
}
