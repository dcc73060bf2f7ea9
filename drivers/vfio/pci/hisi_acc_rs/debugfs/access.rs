// SPDX-License-Identifier: GPL-2.0

//! Register access on behalf of debugfs.

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
    let migratable = dev.migratable().ok_or(ENODEV)?;
    migratable.machine.with(|guard| {
        let vf = guard.driver();
        let open = vf.open.as_ref().ok_or(ENODEV)?;
        if migratable.machine.in_reset() || vf.link.pf.is_stopped() {
            return Err(EBUSY);
        }
        let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
        read(vf, &open.qm.bind(dev.pdev())?)
    })
}
