// SPDX-License-Identifier: GPL-2.0

//! A VFIO PCI device of a variant driver.
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h),
//! [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

mod core_device;
mod hidden_range;
#[cfg(CONFIG_IOMMUFD_DRIVER)]
mod log_ops;
mod migration_ops;
mod vtable;

pub(crate) use self::core_device::raw_device;
pub use self::core_device::{
    CoreDevice,
    MemoryLockGuard,
    RuntimePmGuard, //
};

use crate::{
    bindings,
    debugfs,
    device_id::IdTable,
    migration::Migration, //
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    device::{
        Bound,
        DeviceContext,
        Normal, //
    },
    pci,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    }, //
};

/// What a variant driver does differently from vfio-pci.
///
/// The implementing type is the driver's data of one device. Every callback may sleep, and is
/// called only while the function is bound to the driver.
pub trait Operations: Sized + Send + Sync + 'static {
    /// Name of the driver, as reported to userspace.
    const NAME: &'static CStr;

    /// The devices that the driver can be bound to.
    const ID_TABLE: IdTable;

    /// The driver's files in debugfs, for devices that can migrate.
    const DEBUGFS: Option<debugfs::Directory<Self>> = None;

    /// Creates the driver's data for `pdev`, which is being probed.
    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error>;

    /// Returns the migration of this device, if it can migrate. The result must not change after
    /// `init`.
    fn migration(&self) -> Option<&dyn Migration> {
        None
    }

    /// Called on first open, after vfio-pci-core has enabled and reset the device.
    /// [`Operations::reset_prepare`] and [`Operations::reset_done`] have been called for that reset
    /// before.
    ///
    /// It can be called as soon as the device is registered, also before
    /// [`Operations::registered`].
    fn open(_dev: &Device<Self, Bound>) -> Result {
        Ok(())
    }

    /// Returns how many bytes of region `index` the user may access, or `None` for all of them.
    ///
    /// The result must not change while the device is open. It applies to regions of all kinds, as
    /// far as they can be accessed: to region information, read, write, mmap and ioeventfds. A
    /// region that does not end at a page boundary cannot be mapped.
    fn user_accessible_len(_dev: &Device<Self, Bound>, _index: u32) -> Option<u64> {
        None
    }

    /// Called after the device was registered, before its files in debugfs are created.
    ///
    /// By then a user may already have opened, used and closed the device.
    ///
    /// # Errors
    ///
    /// An error keeps the driver from binding to the device. The device is then unregistered as
    /// when it is unbound, but without a call of [`Operations::unregistering`].
    fn registered(_dev: &Device<Self, Bound>) -> Result {
        Ok(())
    }

    /// Called before the device is unregistered, after its files in debugfs were removed. A user
    /// may still have it open.
    fn unregistering(_dev: &Device<Self, Bound>) {}

    /// Called when the function is about to be reset. The device lock is held, and the core's
    /// memory lock may be held, so this must not wait for anything that a page fault on the
    /// device's memory waits for. The device's [`Migration`] is notified automatically.
    fn reset_prepare(_dev: &Device<Self, Bound>) {}

    /// Called after the function was reset, with the same locks held as in
    /// [`Operations::reset_prepare`].
    fn reset_done(_dev: &Device<Self, Bound>) {}
}

/// A VFIO PCI device with the driver's data `T`.
///
/// In the context [`Bound`] it proves that the function is bound to the driver. An [`ARef`] proves
/// nothing, because it can be kept for longer.
///
/// # Invariants
///
/// - `core` is at offset 0 and its `struct vfio_device` is at offset 0 in turn, so that pointers to
///   all three are equal.
/// - A reference to a [`Device`] exists only after `init` has initialised all fields, and while a
///   reference count of the `struct vfio_device` is held.
/// - A reference to a `Device<T, Bound>` exists only while the function is bound to the driver.
#[repr(C)]
pub struct Device<T: Operations, Ctx: DeviceContext = Normal> {
    core: CoreDevice<Ctx>,
    pdev: ARef<pci::Device>,
    data: T,
}

// SAFETY: The C part does its own locking; the other fields are `Send`.
unsafe impl<T: Operations> Send for Device<T> {}
// SAFETY: The C part does its own locking; the other fields are `Sync`.
unsafe impl<T: Operations> Sync for Device<T> {}

impl<T: Operations> Device<T, Bound> {
    /// # Safety
    ///
    /// `vdev` must be embedded in an initialised [`Device<T>`] that lives for `'a`, and its
    /// function must be bound to the driver for `'a`.
    pub(crate) unsafe fn from_raw<'a>(vdev: *mut bindings::vfio_device) -> &'a Self {
        // SAFETY: By the safety requirements and the type invariants; the layout does not depend on
        // the context.
        unsafe { &*vdev.cast() }
    }
}

impl<T: Operations, Ctx: DeviceContext> Device<T, Ctx> {
    /// Returns the core's part of the device.
    pub fn core(&self) -> &CoreDevice<Ctx> {
        &self.core
    }

    /// Returns the PCI function of the device.
    pub fn pdev(&self) -> &pci::Device<Ctx> {
        self.core.pdev()
    }
}

impl<T: Operations> Deref for Device<T, Bound> {
    type Target = Device<T>;

    fn deref(&self) -> &Device<T> {
        // SAFETY: The layout does not depend on the context.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl<T: Operations> Deref for Device<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

// SAFETY: The reference count is that of the `struct device` in the `struct vfio_device`, which
// frees the device when it drops to zero.
unsafe impl<T: Operations> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        // SAFETY: A reference proves that the count is not zero.
        unsafe { bindings::vfio_rust_helper_get_device(self.core.vdev()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::vfio_rust_helper_put_device(obj.as_ptr().cast()) };
    }
}
