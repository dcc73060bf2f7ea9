// SPDX-License-Identifier: GPL-2.0

//! Access to the registers of an open device.

use crate::{
    device::HisiAcc,
    mig::VfState,
    qm::vf::BoundVfQm, //
};
use kernel::{
    device::Bound,
    prelude::*, //
};
use vfio::device::Device;

/// Runs `read` on the open device `dev`, which it may read registers of.
///
/// # Errors
///
/// [`ENODEV`] if nobody has the device open, [`EBUSY`] if it sleeps or if it or its PF is being
/// reset, and those of `read`.
pub(super) fn with_registers<R>(
    dev: &Device<HisiAcc, Bound>,
    read: impl FnOnce(&VfState, &BoundVfQm<'_>) -> Result<R>,
) -> Result<R> {
    let migratable = dev.migratable().ok_or(ENODEV)?;
    migratable.machine.with(|vf| {
        let open = vf.open.as_ref().ok_or(ENODEV)?;
        if migratable.machine.in_reset() || vf.link.pf.is_stopped() {
            return Err(EBUSY);
        }
        let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
        read(vf, &open.qm.bind(dev.pdev())?)
    })
}
