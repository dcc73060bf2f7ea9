// SPDX-License-Identifier: GPL-2.0

//! The part of a device that belongs to the VFIO core.

use crate::{bindings, migration::Features};
use kernel::device::{Bound, DeviceContext, Normal};
use std::{cell::UnsafeCell, marker::PhantomData};

#[repr(transparent)]
pub struct CoreDevice<Ctx: DeviceContext = Normal>(
    UnsafeCell<bindings::vfio_device>,
    PhantomData<Ctx>,
);

// SAFETY: The fields are not written to after `new()`.
unsafe impl<Ctx: DeviceContext> Send for CoreDevice<Ctx> {}
// SAFETY: As for `Send`.
unsafe impl<Ctx: DeviceContext> Sync for CoreDevice<Ctx> {}

impl CoreDevice<Bound> {
    /// Creates a device that offers `features`.
    pub fn new(features: Features) -> Self {
        let device = bindings::vfio_device {
            migration_flags: features.bits(),
        };
        Self(UnsafeCell::new(device), PhantomData)
    }
}

impl std::ops::Deref for CoreDevice<Bound> {
    type Target = CoreDevice;

    fn deref(&self) -> &CoreDevice {
        // SAFETY: The types differ only in the context, which has no value.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }
}

impl<Ctx: DeviceContext> CoreDevice<Ctx> {
    pub(crate) fn vdev(&self) -> *mut bindings::vfio_device {
        self.0.get()
    }
}
