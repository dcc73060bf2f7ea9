// SPDX-License-Identifier: GPL-2.0

//! The part of a device that belongs to vfio-pci-core, `struct vfio_pci_core_device`.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

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

/// The core's part of a device of any driver.
///
/// In the context [`Bound`] it proves that the function is bound to the driver. Callbacks that are
/// called only then get it in this context.
///
/// # Invariants
///
/// - Outside of unit tests, it is the first field of a [`Device`](super::Device), which has been
///   initialised and holds a reference to the PCI function.
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

    /// Returns the PCI function of the device.
    pub fn pdev(&self) -> &pci::Device<Ctx> {
        // SAFETY: By the type invariants the pointer is set and its target has a reference, and the
        // target is bound if the context is `Bound`; `pci::Device` is a transparent wrapper.
        unsafe { &*(*self.as_ptr()).pdev.cast() }
    }
}

impl CoreDevice<Bound> {
    /// Keeps the function out of runtime suspend. Returns `None` if it is suspended.
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

    /// Takes the core's memory lock and enables the function's memory, in case the user has
    /// disabled it; that of a VF is always enabled. [`MemoryLockGuard::registers`] returns the
    /// registers.
    ///
    /// A page fault on the device's memory and a reset wait until the guard is dropped, so hold it
    /// for a few accesses only. A second call by the same thread deadlocks.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the user has put the function into D3hot.
    pub fn lock_memory_and_enable(&self) -> Result<MemoryLockGuard<'_>> {
        let mut command = 0;
        // SAFETY: The device is valid, and `command` is valid for a write.
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
    /// Creates a device that offers `features` and has no PCI function, for unit tests. Only
    /// [`CoreDevice::next_arc`] may be called on it.
    pub(crate) fn new_for_test(features: migration::Features) -> Result<KBox<Self>> {
        let core = KBox::init(
            pin_init::init_zeroed::<bindings::vfio_pci_core_device>(),
            GFP_KERNEL,
        )?;
        let core = KBox::into_raw(core);
        // SAFETY: The box is valid, and `CoreDevice` is a transparent wrapper of its content.
        unsafe {
            (*core).vdev.migration_flags = features.bits();
            Ok(KBox::from_raw(core.cast()))
        }
    }
}

/// Holds the core's memory lock and keeps the function's memory enabled, see
/// [`CoreDevice::lock_memory_and_enable`].
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
    /// [`EINVAL`] if `bar` belongs to another function.
    pub fn registers<'a, const SIZE: usize>(
        &'a self,
        bar: &'a BarMap<SIZE>,
    ) -> Result<Mmio<'a, Region<SIZE>>> {
        bar.registers(self.core.pdev())
    }
}

impl Drop for MemoryLockGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The device is valid, and this thread took the lock in
        // `CoreDevice::lock_memory_and_enable`.
        unsafe { bindings::vfio_rust_helper_memory_unlock(self.core.as_ptr(), self.command) };
    }
}

/// Keeps the function out of runtime suspend, see [`CoreDevice::runtime_pm_get_if_active`].
pub struct RuntimePmGuard<'a> {
    pdev: &'a pci::Device<Bound>,
    held: bool,
}

impl Drop for RuntimePmGuard<'_> {
    fn drop(&mut self) {
        if self.held {
            // SAFETY: `pdev` is a valid device, and `CoreDevice::runtime_pm_get_if_active` took a
            // reference.
            unsafe { bindings::vfio_rust_helper_pm_put(raw_device(self.pdev)) };
        }
    }
}

/// Returns the `struct device` in `pdev`.
pub(crate) fn raw_device<Ctx: DeviceContext>(
    pdev: &pci::Device<Ctx>,
) -> *mut kernel::bindings::device {
    let pdev = core::ptr::from_ref(pdev).cast::<kernel::bindings::pci_dev>();
    // SAFETY: `pci::Device` is a transparent wrapper of a valid `struct pci_dev`.
    unsafe { (&raw const (*pdev).dev).cast_mut() }
}
