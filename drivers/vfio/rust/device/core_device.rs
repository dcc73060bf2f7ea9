// SPDX-License-Identifier: GPL-2.0

//! The part of a device that is vfio-pci-core's, `struct vfio_pci_core_device`.
//!
//! C header: `include/linux/vfio_pci_core.h`

#[cfg(CONFIG_KUNIT = "y")]
use crate::migration;
use crate::{
    bindings,
    io::BarMap, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    device::{
        Bound,
        DeviceContext,
        Normal, //
    },
    error::to_result,
    io::{
        Mmio,
        Region, //
    },
    pci,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// The core's part of a device, whatever the driver.
///
/// In the context [`Bound`] it proves that the function is bound to the driver. Callbacks that are
/// called only then get it so.
///
/// # Invariants
///
/// - Outside of unit tests, it is the first field of a [`Device`](super::Device), which has been
///   initialised and keeps the PCI function.
/// - A reference to a `CoreDevice<Bound>` exists only while the function is bound to the driver.
#[repr(transparent)]
pub struct CoreDevice<Ctx: DeviceContext = Normal>(
    Opaque<bindings::vfio_pci_core_device>,
    PhantomData<Ctx>,
);

impl Deref for CoreDevice<Bound> {
    type Target = CoreDevice;

    fn deref(&self) -> &CoreDevice {
        // SAFETY: The layout does not depend on the context.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl<Ctx: DeviceContext> CoreDevice<Ctx> {
    pub(crate) fn as_ptr(&self) -> *mut bindings::vfio_pci_core_device {
        self.0.get()
    }

    pub(crate) fn vdev(&self) -> *mut bindings::vfio_device {
        self.0.get().cast()
    }

    /// The PCI function behind the device.
    pub fn pdev(&self) -> &pci::Device<Ctx> {
        // SAFETY: By the type invariants the pointer is set and its target kept, and bound where
        // the context says so; `pci::Device` is a transparent wrapper.
        unsafe { &*(*self.as_ptr()).pdev.cast() }
    }
}

impl CoreDevice {
    /// Whether the user of the open device has asked for the second version of the precopy info,
    /// in which [`PrecopyInfo::reinit`](crate::data_file::PrecopyInfo::reinit) is reported.
    ///
    /// C: `VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2`
    pub fn precopy_info_v2(&self) -> bool {
        // SAFETY: The device is valid. The core writes the byte without a lock, so that it may
        // change at any time; a volatile read has either value.
        unsafe { (&raw const (*self.vdev()).precopy_info_v2).read_volatile() != 0 }
    }
}

impl CoreDevice<Bound> {
    /// Keeps the function out of runtime suspend, or returns `None` if it sleeps.
    pub fn runtime_pm_get_if_active(&self) -> Option<RuntimePmGuard<'_>> {
        // SAFETY: `pdev` is a valid device.
        match unsafe { bindings::vfio_rust_helper_pm_get_if_active(raw_device(self.pdev())) } {
            0 => None,
            held => Some(RuntimePmGuard {
                pdev: self.pdev(),
                held: held > 0,
            }),
        }
    }

    /// Has the function's memory answer, also where the user has turned it off; a VF's always does.
    /// [`MemoryLockGuard::registers`] gives the registers.
    ///
    /// A page fault on the device's memory and a reset wait until this is dropped, so it is for a
    /// few accesses, and a second one by the same thread would wait for ever.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the user has put the function to sleep (D3hot).
    pub fn lock_memory_and_enable(&self) -> Result<MemoryLockGuard<'_>> {
        let mut command = 0;
        // SAFETY: The device is valid, and so is `command` for a write.
        to_result(unsafe { bindings::vfio_rust_helper_memory_lock(self.as_ptr(), &mut command) })?;
        Ok(MemoryLockGuard {
            core: self,
            command,
            _not_send: NotThreadSafe,
        })
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl CoreDevice<Bound> {
    /// For unit tests: a part that offers `features` and has no PCI function. Only the way from
    /// one state to another can be asked for.
    pub(crate) fn new_for_test(features: migration::Features) -> Result<KBox<Self>> {
        let core = KBox::init(
            pin_init::init_zeroed::<bindings::vfio_pci_core_device>(),
            GFP_KERNEL,
        )?;
        let core = KBox::into_raw(core);
        // SAFETY: The box is valid, and `CoreDevice` a transparent wrapper of what is in it.
        unsafe {
            (*core).vdev.migration_flags = features.bits();
            Ok(KBox::from_raw(core.cast()))
        }
    }
}

/// The function's memory answers while this exists, see [`CoreDevice::lock_memory_and_enable`].
pub struct MemoryLockGuard<'a> {
    core: &'a CoreDevice<Bound>,
    command: u16,
    _not_send: NotThreadSafe,
}

impl MemoryLockGuard<'_> {
    /// Returns the registers in `bar`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `bar` is of another function.
    pub fn registers<'a, const SIZE: usize>(
        &'a self,
        bar: &'a BarMap<SIZE>,
    ) -> Result<Mmio<'a, Region<SIZE>>> {
        bar.registers(self.core.pdev())
    }
}

impl Drop for MemoryLockGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The device is valid, and this thread took the lock in `CoreDevice::lock_memory_and_enable`.
        unsafe { bindings::vfio_rust_helper_memory_unlock(self.core.as_ptr(), self.command) };
    }
}

/// The function stays awake while this exists.
pub struct RuntimePmGuard<'a> {
    pdev: &'a pci::Device<Bound>,
    held: bool,
}

impl Drop for RuntimePmGuard<'_> {
    fn drop(&mut self) {
        if self.held {
            // SAFETY: `pdev` is a valid device, and a reference was taken in `Device::runtime_pm_get_if_active`.
            unsafe { bindings::vfio_rust_helper_pm_put(raw_device(self.pdev)) };
        }
    }
}

/// The `struct device` in `pdev`.
pub(crate) fn raw_device<Ctx: DeviceContext>(
    pdev: &pci::Device<Ctx>,
) -> *mut kernel::bindings::device {
    let pdev = core::ptr::from_ref(pdev).cast::<kernel::bindings::pci_dev>();
    // SAFETY: `pci::Device` is a transparent wrapper of a valid `struct pci_dev`.
    unsafe { (&raw const (*pdev).dev).cast_mut() }
}
