// SPDX-License-Identifier: GPL-2.0

//! Function level resets.
//!
//! The PF's driver does not want its VFs to be reset while it resets the PF, nor the other way
//! round. [`PfResetLock`] keeps to that wherever there is a PF driver, whether the VF can migrate or
//! not.

use crate::qm::pf::{
    PfQm, //
    PfResetGuard,
};
use kernel::{
    dev_warn,
    new_spinlock,
    pci,
    prelude::*,
    sync::SpinLock,
    time::Delta, //
};

/// How long a reset waits for one of the PF or of another VF.
///
/// A reset of the PF asks its VFs to stop, and later to start again. Each time it waits 21 s for a
/// VF to take the message, and 21 s for the answer (`qm_ping_all_vfs()` and
/// `qm_wait_vf_prepare_finish()` in `drivers/crypto/hisilicon/qm.c`), if there is a VF that no
/// driver runs, or whose VM is paused. That is 84 s, and the time of the reset itself.
const PATIENCE: Delta = Delta::from_secs(180);

/// A VF's part in the exclusion of resets.
#[pin_data]
pub(crate) struct PfResetLock {
    pf: Option<PfQm>,
    #[pin]
    held: SpinLock<Option<PfResetGuard>>,
}

impl PfResetLock {
    /// For a VF of `pf`; without a PF driver there is nobody to exclude.
    pub(crate) fn new(pf: Option<PfQm>) -> impl PinInit<Self> {
        pin_init!(Self {
            pf,
            held <- new_spinlock!(None, "PfResetLock::held"),
        })
    }

    /// Begins a reset. Sleeps until no other is under way, for [`PATIENCE`] at most.
    pub(crate) fn begin_reset(&self, pdev: &pci::Device) {
        let Some(pf) = self.pf else { return };
        match pf.lock_resets(PATIENCE) {
            Ok(guard) => {
                // What was there, if anything, is dropped without the lock.
                let _last = self.held.lock().replace(guard);
            }
            Err(_) => dev_warn!(pdev, "reset while the PF is being reset\n"),
        }
    }

    /// Ends a reset. Gives back only what [`PfResetLock::begin_reset`] has got.
    pub(crate) fn end_reset(&self) {
        let held = self.held.lock().take();
        drop(held);
    }
}
