// SPDX-License-Identifier: GPL-2.0

//! PCI side of a VFIO variant driver: registration, reset hooks, SR-IOV.
//!
//! [`kernel::pci::Adapter`] cannot register such a driver: it stores its own box as the device's
//! driver data, where vfio-pci-core requires its `struct vfio_pci_core_device`, and it sets neither
//! error handlers nor `driver_managed_dma`.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{
    bindings,
    device::{
        raw_device,
        Device,
        Operations, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::offset_of, //
};
use kernel::{
    device::Bound,
    driver,
    error::to_result,
    pci,
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
    ThisModule, //
};

/// Registers a driver with the callbacks of `T` with the PCI bus, using [`driver::Registration`].
pub struct Adapter<T: Operations>(PhantomData<T>);

// SAFETY: `struct pci_driver` is a C type that embeds a `struct device_driver` at the given offset.
// The device's driver data is cleared before `remove` or a failed `probe` returns, so the
// registration never interprets it as `DriverData`.
unsafe impl<T: Operations> driver::DriverLayout for Adapter<T> {
    type DriverType = kernel::bindings::pci_driver;
    type DriverData<'bound> = ();
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `unregister` is valid after `register` succeeded.
unsafe impl<T: Operations> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        pdrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: The structure is not registered yet, so nothing else accesses it.
        unsafe {
            (*pdrv.get()).name = name.as_char_ptr();
            (*pdrv.get()).probe = Some(Self::probe_callback);
            (*pdrv.get()).remove = Some(Self::remove_callback);
            (*pdrv.get()).id_table = T::ID_TABLE.as_ptr();
            (*pdrv.get()).err_handler = &Self::ERROR_HANDLERS;
            (*pdrv.get()).driver_managed_dma = true;
        }

        // SAFETY: `pdrv` is initialised and stays in place until it is unregistered.
        to_result(unsafe {
            kernel::bindings::__pci_register_driver(pdrv.get(), module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(pdrv: &Opaque<Self::DriverType>) {
        // SAFETY: By the safety requirements of the trait `pdrv` is registered.
        unsafe { kernel::bindings::pci_unregister_driver(pdrv.get()) };
    }
}

impl<T: Operations> Adapter<T> {
    const ERROR_HANDLERS: kernel::bindings::pci_error_handlers =
        kernel::bindings::pci_error_handlers {
            error_detected: Some(bindings::vfio_pci_core_aer_err_detected),
            reset_prepare: Some(Self::reset_prepare_callback),
            reset_done: Some(Self::reset_done_callback),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// `pdev` must be a valid device in the bus' probe callback.
    unsafe extern "C" fn probe_callback(
        pdev: *mut kernel::bindings::pci_dev,
        _id: *const kernel::bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: By the safety requirements the device is valid and bound; `pci::Device` is a
        // transparent wrapper.
        let pdev = unsafe { &*pdev.cast::<pci::Device<Bound>>() };

        match Self::bind(pdev) {
            Ok(()) => 0,
            Err(e) => e.to_errno(),
        }
    }

    fn bind(pdev: &pci::Device<Bound>) -> Result {
        let dev = Device::<T>::new(pdev)?;

        // SAFETY: The device is valid and being probed, so its driver data belongs to this driver.
        // The reference behind the pointer is dropped in `remove_callback`.
        unsafe { kernel::bindings::dev_set_drvdata(raw_device(pdev), dev.core().as_ptr().cast()) };

        // SAFETY: The function is bound while it is being probed.
        let bound = unsafe { Device::<T, Bound>::from_raw(dev.core().vdev()) };
        if let Err(e) = Self::register(bound) {
            // SAFETY: The device is still being probed, so its driver data belongs to this driver.
            unsafe { kernel::bindings::dev_set_drvdata(raw_device(pdev), core::ptr::null_mut()) };
            return Err(e);
        }
        let _ = ARef::into_raw(dev);
        Ok(())
    }

    /// Registers `dev`, which is the driver data of the function that is being probed.
    fn register(dev: &Device<T, Bound>) -> Result {
        let core = dev.core().as_ptr();

        // SAFETY: The core's part is initialised, and it is the function's driver data.
        to_result(unsafe { bindings::vfio_pci_core_register_device(core) })?;
        T::registered(dev).inspect_err(|_| {
            // SAFETY: The device was registered above.
            unsafe { bindings::vfio_pci_core_unregister_device(core) }
        })?;
        if let Some(directory) = T::DEBUGFS {
            // SAFETY: The device is registered. `remove_callback`, which removes the directory and
            // drops the last reference, is not called before the probe callback returns.
            unsafe { directory.create(dev) };
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `probe_callback` must have succeeded for `pdev`, which must not be removed for `'a`.
    unsafe fn device<'a>(pdev: *mut kernel::bindings::pci_dev) -> &'a Device<T, Bound> {
        // SAFETY: `probe_callback` has set the driver data to a device and keeps a reference to it.
        // The function is bound until it is removed.
        unsafe { Device::from_raw(kernel::bindings::dev_get_drvdata(&raw mut (*pdev).dev).cast()) }
    }

    /// # Safety
    ///
    /// `probe_callback` must have succeeded for `pdev`.
    unsafe extern "C" fn remove_callback(pdev: *mut kernel::bindings::pci_dev) {
        // SAFETY: By the safety requirements `probe_callback` succeeded for `pdev`, whose removal
        // does not end before this returns.
        let dev = unsafe { Self::device(pdev) };

        if let Some(directory) = T::DEBUGFS {
            // SAFETY: The device is registered; it is unregistered below.
            unsafe { directory.remove(dev) };
        }
        T::unregistering(dev);
        // SAFETY: The device is registered. It is not used any more when this returns.
        unsafe { bindings::vfio_pci_core_unregister_device(dev.core().as_ptr()) };
        // SAFETY: The device is still being removed, so its driver data belongs to this driver.
        unsafe {
            kernel::bindings::dev_set_drvdata(&raw mut (*pdev).dev, core::ptr::null_mut());
        }
        // SAFETY: This takes over the reference that `bind` kept.
        drop(unsafe { ARef::<Device<T>>::from_raw(core::ptr::NonNull::from(dev).cast()) });
    }

    /// # Safety
    ///
    /// `probe_callback` must have succeeded for `pdev`, which must not have been removed since.
    unsafe extern "C" fn reset_prepare_callback(pdev: *mut kernel::bindings::pci_dev) {
        // SAFETY: By the safety requirements `probe_callback` succeeded for `pdev`, which is not
        // removed during this call.
        let dev = unsafe { Self::device(pdev) };

        if let Some(migration) = dev.migration() {
            migration.reset_announced();
        }
        // This may wait for the reset of another function.
        T::reset_prepare(dev);
        if let Some(migration) = dev.migration() {
            migration.reset_prepare();
        }
    }

    /// # Safety
    ///
    /// `probe_callback` must have succeeded for `pdev`, which must not have been removed since.
    unsafe extern "C" fn reset_done_callback(pdev: *mut kernel::bindings::pci_dev) {
        // SAFETY: By the safety requirements `probe_callback` succeeded for `pdev`, which is not
        // removed during this call.
        let dev = unsafe { Self::device(pdev) };

        T::reset_done(dev);
        if let Some(migration) = dev.migration() {
            migration.reset_done();
        }
    }
}

/// Declares a kernel module that registers one VFIO PCI variant driver.
#[macro_export]
macro_rules! module_vfio_pci_driver {
    ($($f:tt)*) => {
        ::kernel::module_driver!(<T>, $crate::pci::Adapter<T>, { $($f)* });
    };
}

/// Returns the index of a VF among those of its PF, from 0, or `None` if `pdev` is not a VF.
///
/// C: `pci_iov_vf_id()`
pub fn vf_index(pdev: &pci::Device<Bound>) -> Option<u32> {
    // SAFETY: `pci::Device` is a transparent wrapper of a valid `struct pci_dev`.
    let index = unsafe { bindings::pci_iov_vf_id(core::ptr::from_ref(pdev).cast_mut().cast()) };
    u32::try_from(index).ok()
}
