// SPDX-License-Identifier: GPL-2.0

//! `struct hisi_qm` of a PF, which belongs to the PF's driver.
//!
//! C header: [`include/linux/hisi_acc_qm.h`](srctree/include/linux/hisi_acc_qm.h)

use crate::{
    engine::Engine,
    regs::{
        pf,
        pf_ctrl,
        BAR2, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    dev_info,
    device::Bound,
    error::from_err_ptr,
    io::{
        poll::read_poll_timeout,
        Mmio,
        MmioRaw,
        Region, //
    },
    pci,
    prelude::*,
    time::Delta, //
};
use vfio::bindings;

/// The queue manager of a PF, which its own driver runs.
///
/// # Invariants
///
/// - `raw` is the driver data of the PF's driver, and `io` its mapping of the PF's BAR 2. Both
///   live for as long as the VF that the value was made for is bound to this driver: the PF's
///   driver removes its VFs, and thereby unbinds us, before it gives either up.
/// - The value lives in the driver's data of that VF and is used in callbacks of the VF only,
///   all of which have ended when unbinding is complete.
#[derive(Clone, Copy)]
pub(crate) struct PfQm {
    raw: NonNull<bindings::hisi_qm>,
    io: MmioRaw<Region<{ pf::SIZE }>>,
}

// SAFETY: What is used of the structure is constant, or changed with atomic operations.
unsafe impl Send for PfQm {}
// SAFETY: As above.
unsafe impl Sync for PfQm {}

impl PfQm {
    /// The queue manager of the PF of `vf`.
    ///
    /// Returns `None` if `vf` is no VF, if its PF is not bound to the engine's driver, or if the
    /// PF's BAR 2 is too short.
    pub(crate) fn from_vf(pdev: &pci::Device<Bound>, engine: Engine) -> Option<Self> {
        let vf = core::ptr::from_ref(pdev).cast_mut().cast();

        // SAFETY: These functions return the address of a static structure, or NULL.
        let driver = unsafe {
            match engine {
                Engine::Zip => bindings::hisi_zip_get_pf_driver(),
                Engine::Sec => bindings::hisi_sec_get_pf_driver(),
                Engine::Hpre => bindings::hisi_hpre_get_pf_driver(),
            }
        };
        if driver.is_null() {
            return None;
        }

        // SAFETY: `vf` is a valid device that a VF driver is bound to.
        let raw = unsafe { bindings::pci_iov_get_pf_drvdata(vf, driver) };
        let raw: NonNull<bindings::hisi_qm> = NonNull::new(from_err_ptr(raw).ok()?)?.cast();

        // SAFETY: `vf` is a VF, as its PF was found; a VF keeps its PF.
        let physfn = unsafe { bindings::hisi_acc_rs_pci_physfn(vf) };
        // SAFETY: `pci::Device` is a transparent wrapper of the valid `struct pci_dev`.
        let physfn = unsafe { &*physfn.cast::<pci::Device>() };
        let len = usize::try_from(physfn.resource_len(BAR2).ok()?).ok()?;
        if len < pf::SIZE {
            dev_info!(
                pdev,
                "cannot migrate: BAR 2 of the PF has {len:#x} bytes only\n"
            );
            return None;
        }

        // SAFETY: The driver data of the PF's driver is a valid `hisi_qm`, and its `io_base` is
        // constant while the driver is bound.
        let base = unsafe { (*raw.as_ptr()).io_base };
        // INVARIANT: `io_base` is the driver's mapping of all of BAR 2.
        Some(Self {
            raw,
            io: MmioRaw::new_region(base as usize, len).ok()?,
        })
    }

    /// The hardware's version, `enum qm_hw_ver`.
    pub(crate) fn version(&self) -> u32 {
        // SAFETY: By the type invariants; the version is constant.
        unsafe { (*self.raw.as_ptr()).ver }
    }

    /// Returns the errors of the QM and of the engine that the PF's driver resets the PF for, as bits
    /// of their status registers.
    pub(crate) fn reset_masks(&self) -> (u32, u32) {
        // SAFETY: By the type invariants `raw` is valid; the masks are constant once the PF's driver
        // has probed the PF.
        let info = unsafe { &raw const (*self.raw.as_ptr()).err_info };
        // SAFETY: As above.
        unsafe { ((*info).qm_err.reset_mask, (*info).dev_err.reset_mask) }
    }

    /// Returns whether the PF's driver has stopped the PF, as it does to reset it.
    ///
    /// Part of the time memory decoding of the PF and of its VFs is off then, so no register of
    /// them may be accessed. The PF's driver can stop the PF at any time, so this is no guarantee.
    pub(crate) fn is_stopped(&self) -> bool {
        // SAFETY: By the type invariants `raw` is valid. The driver accesses the field by atomic
        // operations only, as this does.
        let state = unsafe {
            bindings::hisi_acc_rs_atomic_read(&raw const (*self.raw.as_ptr()).status.flags)
        };
        // CAST: The values of `enum qm_state` are 0 and 1.
        state == bindings::qm_state_QM_STOP as c_int
    }

    /// The PF's registers.
    pub(crate) fn io(&self) -> Mmio<'_, Region<{ pf::SIZE }>> {
        // SAFETY: By the type invariants.
        unsafe { Mmio::from_raw(self.io) }
    }

    /// The window onto `function`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it has none.
    pub(crate) fn window(&self, function: u32) -> Result<PfWindow> {
        let start = self.io.addr() + pf_ctrl::window_start(function).ok_or(EINVAL)?;
        // INVARIANT: all windows end below the `pf::SIZE` bytes that `io` has.
        Ok(PfWindow(MmioRaw::new_region(start, pf_ctrl::SIZE)?))
    }

    /// Takes the bit that serialises resets of the PF and of its VFs.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if another holds it for longer than `patience`.
    pub(crate) fn lock_resets(self, patience: Delta) -> Result<PfResetGuard> {
        read_poll_timeout(
            || Ok(self.try_take_reset_bit()),
            |taken| *taken,
            Delta::from_millis(1),
            patience,
        )
        .map_err(|_| EBUSY)?;
        // INVARIANT: the bit was just taken.
        Ok(PfResetGuard(self))
    }

    fn try_take_reset_bit(&self) -> bool {
        // SAFETY: By the type invariants; the word is changed with atomic operations only.
        !unsafe {
            bindings::hisi_acc_rs_test_and_set_bit(
                bindings::qm_misc_ctl_bits_QM_RESETTING,
                &raw mut (*self.raw.as_ptr()).misc_ctl,
            )
        }
    }
}

/// The window in a PF's BAR 2 onto one of its functions.
///
/// # Invariants
///
/// It is part of the mapping of a [`PfQm`], and lives and is used as that one does.
pub(crate) struct PfWindow(MmioRaw<Region<{ pf_ctrl::SIZE }>>);

impl PfWindow {
    /// The registers, while the VF is bound that the window was made for.
    pub(in crate::qm) fn io<'a>(
        &'a self,
        _vf: &'a pci::Device<Bound>,
    ) -> Mmio<'a, Region<{ pf_ctrl::SIZE }>> {
        // SAFETY: By the type invariants.
        unsafe { Mmio::from_raw(self.0) }
    }
}

/// Holds `QM_RESETTING` of a PF.
///
/// # Invariants
///
/// The bit was set by [`PfQm::lock_resets`], and nobody clears it but this value's end.
pub(crate) struct PfResetGuard(PfQm);

impl Drop for PfResetGuard {
    fn drop(&mut self) {
        // SAFETY: By the type invariants of `PfQm`.
        unsafe {
            bindings::hisi_acc_rs_clear_bit(
                bindings::qm_misc_ctl_bits_QM_RESETTING,
                &raw mut (*self.0.raw.as_ptr()).misc_ctl,
            );
        }
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_pf)]
mod tests {
    use super::*;
    use kernel::types::Opaque;

    #[test]
    fn reset_bit_released_only_by_holder() -> Result {
        let patience = Delta::from_millis(2);
        let qm = KBox::init(
            pin_init::init_zeroed::<Opaque<bindings::hisi_qm>>(),
            GFP_KERNEL,
        )?;
        let pf = PfQm {
            raw: NonNull::new(qm.get()).ok_or(EINVAL)?,
            // Registers that nobody reads.
            io: MmioRaw::new_region(0, pf::SIZE)?,
        };

        let first = pf.lock_resets(patience)?;
        for _ in 0..2 {
            // Who has waited in vain gives nothing back.
            assert_eq!(pf.lock_resets(patience).err(), Some(EBUSY));
        }
        drop(first);
        let second = pf.lock_resets(patience)?;
        assert_eq!(pf.lock_resets(patience).err(), Some(EBUSY));
        drop(second);
        Ok(())
    }
}
