// SPDX-License-Identifier: GPL-2.0

//! `struct hisi_qm` of a PF, which is owned by the PF's driver.
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

/// The queue manager of a PF, which is operated by the PF's driver.
///
/// # Invariants
///
/// - `raw` is the driver data of the PF's driver, and `io` is the mapping of the PF's BAR 2 by that
///   driver. Both stay valid as long as the VF that the value was created for is bound to this
///   driver: the PF's driver removes its VFs, and thereby unbinds this driver, before it releases
///   either.
/// - The value is part of the driver data of that VF and is only used in callbacks of the VF, all
///   of which have returned when unbinding is complete.
#[derive(Clone, Copy)]
pub(crate) struct PfQm {
    raw: NonNull<bindings::hisi_qm>,
    io: MmioRaw<Region<{ pf::SIZE }>>,
}

// SAFETY: Any thread may use the structure that `raw` points to, since only fields that are
// constant or accessed atomically are used. By the type invariants it outlives the value.
unsafe impl Send for PfQm {}
// SAFETY: As for `Send`; shared references allow no other accesses.
unsafe impl Sync for PfQm {}

impl PfQm {
    /// Returns the queue manager of the PF of the VF `pdev`.
    ///
    /// Returns `None` if `pdev` is not a VF, if its PF is not bound to the engine's driver, or if
    /// BAR 2 of the PF is too short.
    pub(crate) fn from_vf(pdev: &pci::Device<Bound>, engine: Engine) -> Option<Self> {
        let vf = core::ptr::from_ref(pdev).cast_mut().cast();

        // SAFETY: These functions have no preconditions. They return the address of a static
        // structure or null.
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

        // SAFETY: `vf` comes from a reference to a bound device, so it is valid, and `driver` is a
        // valid PF driver.
        let raw = unsafe { bindings::pci_iov_get_pf_drvdata(vf, driver) };
        let raw: NonNull<bindings::hisi_qm> = NonNull::new(from_err_ptr(raw).ok()?)?.cast();

        // SAFETY: `vf` is valid, as above.
        let physfn = unsafe { bindings::hisi_acc_rs_pci_physfn(vf) };
        // SAFETY: `vf` is a VF, since its PF was found, and a VF holds its PF. So `physfn` is a
        // valid `struct pci_dev`, of which `pci::Device` is a transparent wrapper.
        let physfn = unsafe { &*physfn.cast::<pci::Device>() };
        let len = usize::try_from(physfn.resource_len(BAR2).ok()?).ok()?;
        if len < pf::SIZE {
            dev_info!(
                pdev,
                "cannot migrate: BAR 2 of the PF has {len:#x} bytes only\n"
            );
            return None;
        }

        // SAFETY: `raw` is the driver data of the PF's driver, which is a valid `hisi_qm`. Its
        // `io_base` is constant while the driver is bound.
        let base = unsafe { (*raw.as_ptr()).io_base };
        // INVARIANT: `raw` is the driver data of the PF's driver, and `io_base` is its mapping of
        // BAR 2, which has `len` bytes. As `pdev` is bound to this driver, both stay valid until it
        // is unbound.
        Some(Self {
            raw,
            io: MmioRaw::new_region(base as usize, len).ok()?,
        })
    }

    /// Returns the hardware version, `enum qm_hw_ver`.
    pub(crate) fn version(&self) -> u32 {
        // SAFETY: By the type invariants `raw` is valid. The version is constant.
        unsafe { (*self.raw.as_ptr()).ver }
    }

    /// Returns the errors of the QM and of the engine for which the PF's driver resets the PF, as
    /// bits of their status registers.
    pub(crate) fn reset_masks(&self) -> (u32, u32) {
        // SAFETY: By the type invariants `raw` is valid, so its fields are in bounds.
        let info = unsafe { &raw const (*self.raw.as_ptr()).err_info };
        // SAFETY: `info` points to a field of the valid `raw`. The masks are constant once the PF's
        // driver has probed the PF.
        unsafe { ((*info).qm_err.reset_mask, (*info).dev_err.reset_mask) }
    }

    /// Returns whether the PF's driver has stopped the PF, as it does in order to reset it.
    ///
    /// Memory decoding of the PF and of its VFs is temporarily off then, so none of their registers
    /// may be accessed. The result is only a hint, as the PF's driver can stop the PF at any time.
    pub(crate) fn is_stopped(&self) -> bool {
        // SAFETY: By the type invariants `raw` is valid. The PF's driver accesses the field with
        // atomic operations only, and so does this function.
        let state = unsafe {
            bindings::hisi_acc_rs_atomic_read(&raw const (*self.raw.as_ptr()).status.flags)
        };
        // CAST: The values of `enum qm_state` are 0 and 1.
        state == bindings::qm_state_QM_STOP as c_int
    }

    /// Returns the PF's registers.
    pub(crate) fn io(&self) -> Mmio<'_, Region<{ pf::SIZE }>> {
        // SAFETY: By the type invariants the mapping is valid whenever the value is used.
        unsafe { Mmio::from_raw(self.io) }
    }

    /// Returns the window of `function`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the function has no window.
    pub(crate) fn window(&self, function: u32) -> Result<PfWindow> {
        let start = self.io.addr() + pf_ctrl::window_start(function).ok_or(EINVAL)?;
        // INVARIANT: The window is part of the mapping `io`, as all windows end below `pf::SIZE`.
        Ok(PfWindow(MmioRaw::new_region(start, pf_ctrl::SIZE)?))
    }

    /// Sets the bit that serialises resets of the PF and of its VFs.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the bit stays set by another reset for longer than `patience`.
    pub(crate) fn lock_resets(self, patience: Delta) -> Result<PfResetGuard> {
        read_poll_timeout(
            || Ok(self.try_take_reset_bit()),
            |taken| *taken,
            Delta::from_millis(1),
            patience,
        )
        .map_err(|_| EBUSY)?;
        // INVARIANT: The bit was just set.
        Ok(PfResetGuard(self))
    }

    fn try_take_reset_bit(&self) -> bool {
        // SAFETY: By the type invariants `raw` is valid. `misc_ctl` is modified with atomic
        // operations only.
        !unsafe {
            bindings::hisi_acc_rs_test_and_set_bit(
                bindings::qm_misc_ctl_bits_QM_RESETTING,
                &raw mut (*self.raw.as_ptr()).misc_ctl,
            )
        }
    }
}

/// A window in a PF's BAR 2, for one of the PF's functions.
///
/// # Invariants
///
/// It is part of the mapping of a [`PfQm`], and the type invariants of [`PfQm`] hold for it as
/// well.
pub(crate) struct PfWindow(MmioRaw<Region<{ pf_ctrl::SIZE }>>);

impl PfWindow {
    /// Returns the registers, as long as the VF `_vf`, for which the window was created, is bound.
    pub(in crate::qm) fn io<'a>(
        &'a self,
        _vf: &'a pci::Device<Bound>,
    ) -> Mmio<'a, Region<{ pf_ctrl::SIZE }>> {
        // SAFETY: By the type invariants the mapping is valid whenever the value is used.
        unsafe { Mmio::from_raw(self.0) }
    }
}

/// Owns the bit `QM_RESETTING` of a PF.
///
/// # Invariants
///
/// The bit was set by [`PfQm::lock_resets`], and only dropping this value clears it.
pub(crate) struct PfResetGuard(PfQm);

impl Drop for PfResetGuard {
    fn drop(&mut self) {
        // SAFETY: By the type invariants of `PfQm` the pointer is valid. `misc_ctl` is modified
        // with atomic operations only, and by the type invariants this value owns the bit.
        unsafe {
            bindings::hisi_acc_rs_clear_bit(
                bindings::qm_misc_ctl_bits_QM_RESETTING,
                &raw mut (*self.0.raw.as_ptr()).misc_ctl,
            );
        }
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_pf)]
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
            // The registers are not accessed.
            io: MmioRaw::new_region(0, pf::SIZE)?,
        };

        let first = pf.lock_resets(patience)?;
        for _ in 0..2 {
            // A waiter that timed out must not clear the bit.
            assert_eq!(pf.lock_resets(patience).err(), Some(EBUSY));
        }
        drop(first);
        let second = pf.lock_resets(patience)?;
        assert_eq!(pf.lock_resets(patience).err(), Some(EBUSY));
        drop(second);
        Ok(())
    }
}
