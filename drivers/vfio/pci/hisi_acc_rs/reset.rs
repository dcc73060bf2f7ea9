// SPDX-License-Identifier: GPL-2.0

//! Function level resets.
//!
//! The PF's driver requires that VFs are not reset while it resets the PF, and vice versa.
//! [`PfResetLock`] ensures this if there is a PF driver, whether the VF can migrate or not.

use crate::qm::pf::{
    PfQm,
    PfResetGuard, //
};
use kernel::{
    dev_warn,
    new_spinlock,
    pci,
    prelude::*,
    sync::SpinLock,
    time::Delta, //
};

/// How long a reset waits for a reset of the PF or of another VF.
///
/// A reset of the PF asks its VFs to stop, and later to start again. Each time it waits 21 s for a
/// VF to take the message and 21 s for the answer (`qm_ping_all_vfs()` and
/// `qm_wait_vf_prepare_finish()` in `drivers/crypto/hisilicon/qm.c`) if a VF has no running driver
/// or its VM is paused. That is 84 s, plus the time of the reset itself.
const PATIENCE: Delta = Delta::from_secs(180);

/// Excludes resets of a VF from resets of its PF and of other VFs.
#[pin_data]
pub(crate) struct PfResetLock {
    pf: Option<PfQm>,
    #[pin]
    held: SpinLock<Option<PfResetGuard>>,
}

impl PfResetLock {
    /// Returns an initializer for a VF of `pf`. Without a PF driver there is nothing to exclude.
    pub(crate) fn new(pf: Option<PfQm>) -> impl PinInit<Self> {
        pin_init!(Self {
            pf,
            held <- new_spinlock!(None, "PfResetLock::held"),
        })
    }

    /// Called before a reset. Sleeps until no other reset is in progress, but not longer than
    /// [`PATIENCE`].
    pub(crate) fn begin_reset(&self, pdev: &pci::Device) {
        let Some(pf) = self.pf else { return };
        match pf.lock_resets(PATIENCE) {
            Ok(guard) => {
                // A previous guard, if any, is dropped after the spinlock is released.
                let _last = self.held.lock().replace(guard);
            }
            Err(_) => dev_warn!(pdev, "reset while the PF is being reset\n"),
        }
    }

    /// Called after a reset. Releases the lock only if [`PfResetLock::begin_reset`] has taken it.
    pub(crate) fn end_reset(&self) {
        let held = self.held.lock().take();
        drop(held);
    }
}
