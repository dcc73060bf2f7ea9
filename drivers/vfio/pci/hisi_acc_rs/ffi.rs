// SPDX-License-Identifier: GPL-2.0

//! `struct hisi_qm`: the only C structure of the accelerator drivers that this driver touches,
//! and the only file of it with `unsafe`.
//!
//! C header: `include/linux/hisi_acc_qm.h`

use crate::{
    engine::Engine,
    hal::{
        PfCtrl,
        RegisterPlacement,
        Registers,
        VfBar,
        VfCtrl,
        BAR2, //
    },
    pf_link::PfLink,
    regs::{
        pf,
        pf_ctrl,
        vf_bar, //
    },
    trace, //
};
use core::ptr::NonNull;
use kernel::{
    dev_info,
    device,
    error::{
        from_err_ptr,
        to_result, //
    },
    io::{
        poll::read_poll_timeout,
        Mmio,
        MmioRaw,
        Region, //
    },
    pci,
    prelude::*,
    static_lock_class,
    sync::{
        aref::ARef,
        Arc, //
    },
    time::Delta,
    types::Opaque, //
};
use vfio::{
    bindings,
    timestamp::Timestamp, //
};

/// The first hardware version whose VFs can migrate.
pub(crate) const V3: u32 = bindings::qm_hw_ver_QM_HW_V3;
/// The first hardware version that can drop the doorbells of a function.
pub(crate) const V5: u32 = bindings::qm_hw_ver_QM_HW_V5;

/// A mailbox command of the queue manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Command {
    /// Base address of the table of SQ contexts.
    SqcBase = bindings::QM_MB_CMD_SQC_BT as u8,
    /// Base address of the table of CQ contexts.
    CqcBase = bindings::QM_MB_CMD_CQC_BT as u8,
    /// The queues that the function owns.
    Vft = bindings::QM_MB_CMD_SQC_VFT_V2 as u8,
    /// Stops fetching requests and finishes those in flight.
    Pause = 0xe,
}

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
    pub(crate) fn of(pdev: &pci::Device<device::Bound>, engine: Engine) -> Option<Self> {
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
        let start = self.io.addr() + pf_ctrl::window(function).ok_or(EINVAL)?;
        // INVARIANT: all windows end below the `pf::SIZE` bytes that `io` has.
        Ok(PfWindow(MmioRaw::new_region(start, pf_ctrl::SIZE)?))
    }

    /// Takes the bit that serialises resets of the PF and of its VFs.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if another holds it for longer than `patience`.
    pub(crate) fn exclusive(self, patience: Delta) -> Result<PfResetGuard> {
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
    fn io<'a>(
        &'a self,
        _vf: &'a pci::Device<device::Bound>,
    ) -> Mmio<'a, Region<{ pf_ctrl::SIZE }>> {
        // SAFETY: By the type invariants.
        unsafe { Mmio::from_raw(self.0) }
    }
}

/// Holds `QM_RESETTING` of a PF.
///
/// # Invariants
///
/// The bit was set by [`PfQm::exclusive`], and nobody clears it but this value's end.
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

/// The queue manager of an open VF, with a mailbox by way of hisi_qm. It is accessed by
/// [`VfQm::access`].
///
/// # Invariants
///
/// `raw` is zeroed but for what hisi_qm's mailbox functions use. Its `pdev` is `pdev`, and its
/// `io_base` is the function block: in `window` if there is one, and in `bar` otherwise. All of
/// them live as long as `self`, and are mapped for as long as `pdev` is bound to the driver.
pub(crate) struct VfQm {
    /// By itself, as its lock must stay where it is.
    raw: Pin<KBox<Opaque<bindings::hisi_qm>>>,
    window: Option<PfWindow>,
    bar: Arc<VfBar>,
    hw: PfLink,
    pdev: ARef<pci::Device>,
}

/// The queue manager of an open VF, while the VF is bound to the driver.
///
/// # Invariants
///
/// `pdev` is the VF of `qm`.
#[derive(Clone, Copy)]
pub(crate) struct BoundVfQm<'a> {
    qm: &'a VfQm,
    registers: Registers<'a>,
    bar: Mmio<'a, Region<{ vf_bar::SIZE }>>,
    pdev: &'a pci::Device<device::Bound>,
}

// SAFETY: The structure is used by hisi_qm's mailbox functions only, which take its lock.
unsafe impl Send for VfQm {}
// SAFETY: As above.
unsafe impl Sync for VfQm {}

/// Returns the registers of the VF `pdev`, and its own BAR.
fn registers<'a>(
    pdev: &'a pci::Device<device::Bound>,
    window: &'a Option<PfWindow>,
    bar: &'a VfBar,
) -> Result<(Registers<'a>, Mmio<'a, Region<{ vf_bar::SIZE }>>)> {
    let bar = bar.vf_registers(pdev)?;
    let registers = match window {
        Some(window) => Registers::PfCtrl(PfCtrl(window.io(pdev))),
        None => Registers::VfCtrl(VfCtrl(bar)),
    };
    Ok((registers, bar))
}

impl VfQm {
    /// The queue manager of the VF `pdev`, whose own BAR is `bar`, and whose migration registers
    /// are in `window` if there is one.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the BAR is another VF's. [`ENOMEM`].
    pub(crate) fn new(
        pdev: &pci::Device<device::Bound>,
        hw: &PfLink,
        window: Option<PfWindow>,
        bar: Arc<VfBar>,
    ) -> Result<Self> {
        let io_base = registers(pdev, &window, &bar)?.0.function_ptr();
        let raw = Opaque::ffi_init(|slot: *mut bindings::hisi_qm| {
            // SAFETY: `slot` is valid for writes, and all zeroes is a valid `hisi_qm`. The lock's
            // name and class are static.
            unsafe {
                slot.write_bytes(0, 1);
                (*slot).fun_type = bindings::qm_fun_type_QM_HW_VF;
                (*slot).ver = hw.pf.version();
                (*slot).pdev = core::ptr::from_ref(pdev).cast_mut().cast();
                (*slot).io_base = io_base;
                kernel::bindings::__mutex_init(
                    &raw mut (*slot).mailbox_lock,
                    c"hisi_acc_vfio_pci_rs::mailbox".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                );
            }
        });
        // INVARIANT: As initialised above; `window`, `bar` and `pdev` are kept.
        Ok(Self {
            raw: KBox::pin_init(raw, GFP_KERNEL)?,
            window,
            bar,
            hw: *hw,
            pdev: pdev.into(),
        })
    }

    /// The VF.
    pub(crate) fn pdev(&self) -> &pci::Device {
        &self.pdev
    }

    /// The VF and its PF.
    pub(crate) fn hw(&self) -> &PfLink {
        &self.hw
    }

    /// Accesses the VF, which must be `pdev`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is another one.
    pub(crate) fn access<'a>(
        &'a self,
        pdev: &'a pci::Device<device::Bound>,
    ) -> Result<BoundVfQm<'a>> {
        let vf: &pci::Device = pdev;
        if !core::ptr::eq(vf, &*self.pdev) {
            return Err(EINVAL);
        }
        let (registers, bar) = registers(pdev, &self.window, &self.bar)?;
        // INVARIANT: `pdev` was just compared.
        Ok(BoundVfQm {
            qm: self,
            registers,
            bar,
            pdev,
        })
    }
}

impl<'a> BoundVfQm<'a> {
    /// The VF and its PF.
    pub(crate) fn hw(&self) -> &'a PfLink {
        &self.qm.hw
    }

    /// The VF's own BAR.
    pub(crate) fn bar(&self) -> Mmio<'a, Region<{ vf_bar::SIZE }>> {
        self.bar
    }

    /// The VF's migration registers.
    pub(crate) fn hal(&self) -> &dyn RegisterPlacement {
        &*self.registers
    }

    /// Gives a command with an argument. Sleeps, at most about a second.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF has failed or the command is refused, [`ETIMEDOUT`] if the mailbox does
    /// not become free, or not again.
    pub(crate) fn mailbox(&self, command: Command, argument: u64) -> Result {
        self.traced(command, || {
            // SAFETY: By the type invariants; as the VF is bound, `io_base` is mapped.
            to_result(unsafe {
                bindings::hisi_qm_mb(self.qm.raw.get(), command as u8, argument, 0, false)
            })
        })
    }

    /// Gives a command with an answer. Sleeps, at most about a second.
    ///
    /// # Errors
    ///
    /// As [`VfQm::mailbox`].
    pub(crate) fn mailbox_read(&self, command: Command) -> Result<u64> {
        let mut answer = 0;
        self.traced(command, || {
            // SAFETY: By the type invariants; as the VF is bound, `io_base` is mapped. `answer` is
            // valid for a write.
            to_result(unsafe {
                bindings::hisi_qm_mb_read(self.qm.raw.get(), &mut answer, command as u8, 0)
            })
        })?;
        Ok(answer)
    }

    fn traced(&self, command: Command, give: impl FnOnce() -> Result) -> Result {
        let start = trace::listens_to_mailbox().then(Timestamp::now);
        let result = give();
        if let Some(start) = start {
            trace::mailbox(self.pdev, command as u8, start.elapsed(), result);
        }
        result
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_ffi)]
mod tests {
    use super::*;

    #[test]
    fn reset_bit_is_given_back_by_who_has_got_it() -> Result {
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

        let first = pf.exclusive(patience)?;
        for _ in 0..2 {
            // Who has waited in vain gives nothing back.
            assert_eq!(pf.exclusive(patience).err(), Some(EBUSY));
        }
        drop(first);
        let second = pf.exclusive(patience)?;
        assert_eq!(pf.exclusive(patience).err(), Some(EBUSY));
        drop(second);
        Ok(())
    }
}
