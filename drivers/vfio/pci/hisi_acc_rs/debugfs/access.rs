// SPDX-License-Identifier: GPL-2.0

//! Access to a VF on behalf of debugfs.

use crate::{
    device::HisiAcc,
    mig::{
        MigratableVf,
        VfState, //
    },
    qm::vf::BoundVfQm, //
};
use kernel::{
    device::Bound,
    prelude::*, //
};
use vfio::device::Device;

/// Returns the part of `dev` that migration uses.
///
/// # Errors
///
/// [`ENODEV`] if the VF cannot migrate. It has no files then.
pub(super) fn migratable(dev: &Device<HisiAcc, Bound>) -> Result<&MigratableVf> {
    dev.migratable().ok_or(ENODEV)
}

/// Returns whether the function or its PF is being reset: its registers must not be accessed. `vf`
/// is the state of `migratable`.
pub(super) fn in_reset(migratable: &MigratableVf, vf: &VfState) -> bool {
    migratable.machine.in_reset() || vf.link.pf.is_stopped()
}

/// Calls `read` on the open device `dev` while its registers can be read.
///
/// # Errors
///
/// [`ENODEV`] if the device is not open, [`EBUSY`] if it is suspended or if it or its PF is being
/// reset, and the errors of `read`.
pub(super) fn with_registers<R>(
    dev: &Device<HisiAcc, Bound>,
    read: impl FnOnce(&VfState, &BoundVfQm<'_>) -> Result<R>,
) -> Result<R> {
    let migratable = migratable(dev)?;
    migratable.machine.with(|guard| {
        let vf = guard.driver();
        let open = vf.open.as_ref().ok_or(ENODEV)?;
        if in_reset(migratable, vf) {
            return Err(EBUSY);
        }
        let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
        read(vf, &open.qm.bind(dev.pdev())?)
    })
}
