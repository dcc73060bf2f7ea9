// SPDX-License-Identifier: GPL-2.0

//! A VFIO PCI device of a variant driver.
//!
//! C headers: `include/linux/vfio.h`, `include/linux/vfio_pci_core.h`

mod core_device;
mod hidden_range;
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
    /// Name of the driver towards userspace.
    const NAME: &'static CStr;

    /// The devices it can be bound to.
    const ID_TABLE: IdTable;

    /// The driver's files in debugfs, for devices that can migrate.
    const DEBUGFS: Option<debugfs::Directory<Self>> = None;

    /// Makes the driver's data for `pdev`, while it is being probed.
    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error>;

    /// The migration of this device, if it can migrate. The answer must not change after `init`.
    fn migration(&self) -> Option<&dyn Migration> {
        None
    }

    /// Called when the device gets its first user, after vfio-pci-core has enabled and reset it: of
    /// that reset [`Operations::reset_prepare`] and [`Operations::reset_done`] are called before.
    ///
    /// It can be called as soon as the device is registered, also before
    /// [`Operations::registered`].
    fn open(_dev: &Device<Self, Bound>) -> Result {
        Ok(())
    }

    /// Bytes of region `index` that the user may reach, or `None` for all of them.
    ///
    /// The answer must not change while the device is open. It holds for regions of all kinds, as
    /// far as they can be accessed: region information, read, write, mmap and ioeventfds. A region
    /// that does not end with a page cannot be mapped.
    fn user_accessible_len(_dev: &Device<Self, Bound>, _index: u32) -> Option<u64> {
        None
    }

    /// Called when the device was registered, before its files in debugfs are created.
    ///
    /// A user can have opened the device by then, and used and closed it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from binding to the device. It is unregistered then, as if it were
    /// unbound, but without [`Operations::unregistering`].
    fn registered(_dev: &Device<Self, Bound>) -> Result {
        Ok(())
    }

    /// Called before the device is unregistered, when its files in debugfs have been removed. A
    /// user may have it open.
    fn unregistering(_dev: &Device<Self, Bound>) {}

    /// The function is about to be reset. The device lock is held, and the core's memory lock
    /// can be: what a page fault on the device's memory waits for must not be waited for here.
    /// The device's [`Migration`] is told without the driver's doing.
    fn reset_prepare(_dev: &Device<Self, Bound>) {}

    /// The function has been reset; the locks are those of [`Operations::reset_prepare`].
    fn reset_done(_dev: &Device<Self, Bound>) {}
}

/// A VFIO PCI device with the driver's data `T`.
///
/// In the context [`Bound`] it proves that the function is bound to the driver. An [`ARef`] of it
/// does not: it can be kept for longer.
///
/// # Invariants
///
/// - `core` is at offset 0 and its `struct vfio_device` is at offset 0 in turn, so that pointers
///   to the three are one.
/// - A reference to a [`Device`] exists only after `init` has initialised all fields, and while
///   somebody holds a reference count of the `struct vfio_device`.
/// - A reference to a `Device<T, Bound>` exists only while the function is bound to the driver.
#[repr(C)]
pub struct Device<T: Operations, Ctx: DeviceContext = Normal> {
    core: CoreDevice<Ctx>,
    pdev: ARef<pci::Device>,
    data: T,
}

// SAFETY: The C part takes its own locks, the rest is `Send`.
unsafe impl<T: Operations> Send for Device<T> {}
// SAFETY: The C part takes its own locks, the rest is `Sync`.
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
    /// The core's part.
    pub fn core(&self) -> &CoreDevice<Ctx> {
        &self.core
    }

    /// The PCI function behind the device.
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

// SAFETY: The count is that of the `struct device` in the `struct vfio_device`.
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
