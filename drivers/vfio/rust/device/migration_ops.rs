// SPDX-License-Identifier: GPL-2.0

//! Callbacks from the VFIO core for migration (`struct vfio_migration_ops`).
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use super::{
    Device,
    Operations, //
};
use crate::{
    bindings,
    migration::{
        Features,
        Migration,
        State, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    device::Bound,
    prelude::*,
    sync::aref::ARef, //
};

/// Sets the migration callbacks and flags of a device of the driver `T`.
///
/// # Safety
///
/// `vdev` must be embedded in a [`Device<T>`] that is not registered yet, and `migration` must be
/// returned by [`migration`](Operations::migration) of its data.
pub(super) unsafe fn set_migration_ops<T: Operations>(
    vdev: *mut bindings::vfio_device,
    migration: &dyn Migration,
) {
    // SAFETY: By the safety requirements `vdev` is valid, and nothing else accesses it yet.
    unsafe {
        (*vdev).migration_flags = (migration.features() | Features::STOP_COPY).bits();
        (*vdev).mig_ops = &VTable::<T>::VTABLE;
    }
}

struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    const VTABLE: bindings::vfio_migration_ops = bindings::vfio_migration_ops {
        migration_set_state: Some(Self::set_state_callback),
        migration_get_state: Some(Self::get_state_callback),
        migration_get_data_size: Some(Self::get_data_size_callback),
    };

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`].
    unsafe extern "C" fn set_state_callback(
        vdev: *mut bindings::vfio_device,
        new: bindings::vfio_device_mig_state,
    ) -> *mut kernel::bindings::file {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let file = State::try_from(new).and_then(|target| {
            let migration = dev.migration().ok_or(ENODEV)?;
            migration.set_state(dev.core(), target)
        });
        match file {
            Ok(Some(file)) => ARef::into_raw(file).cast().as_ptr(),
            Ok(None) => core::ptr::null_mut(),
            Err(e) => e.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`], and `state` must be valid for a
    /// write.
    unsafe extern "C" fn get_state_callback(
        vdev: *mut bindings::vfio_device,
        state: *mut bindings::vfio_device_mig_state,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        match dev.migration() {
            Some(migration) => {
                // SAFETY: By the safety requirements `state` is valid for a write.
                unsafe { state.write(migration.state().into()) };
                0
            }
            None => ENODEV.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`]; `len` must be valid for a write.
    unsafe extern "C" fn get_data_size_callback(
        vdev: *mut bindings::vfio_device,
        len: *mut c_ulong,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let size = dev
            .migration()
            .ok_or(ENODEV)
            .and_then(|migration| migration.data_size(dev.core()));
        match size {
            Ok(size) => {
                // SAFETY: By the safety requirements `len` is valid for a write.
                unsafe { len.write(size) };
                0
            }
            Err(e) => e.to_errno(),
        }
    }
}
