// SPDX-License-Identifier: GPL-2.0

//! Where a device has its history.
//!
//! The history is the driver data of the device that the core registers in its class `vfio-dev`,
//! which no driver is bound to. So `struct vfio_device` needs no further member, and modules that are
//! compiled with the kernel's own header work with it.
//!
//! C header: [`history.h`](srctree/drivers/vfio/core_debugfs/history.h)

use core::ptr;

use kernel::{
    ffi::c_void,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Release, //
    },
    types::ForeignOwnable, //
};

use super::History;
use crate::bindings::{
    self,
    vfio_device, //
};

/// Returns where the pointer to the history of a device is: null, or what
/// [`ForeignOwnable::into_foreign`] has returned.
///
/// # Safety
///
/// `vdev` must point to a valid `struct vfio_device` for all of `'a`.
unsafe fn slot<'a>(vdev: *mut vfio_device) -> &'a Atomic<*mut c_void> {
    // SAFETY: By the safety requirements the member is valid. VFIO core does not use it otherwise,
    // so all accesses are those of this file, which are atomic.
    unsafe { Atomic::from_ptr(&raw mut (*vdev).device.driver_data) }
}

/// Returns the history of a device, if it has one.
///
/// # Safety
///
/// For all of `'a`, `vdev` must point to a valid `struct vfio_device`, and
/// [`vfio_history_free`] must not be called for it.
pub(crate) unsafe fn history_of<'a>(vdev: *mut vfio_device) -> Option<Pin<&'a History>> {
    // SAFETY: By the safety requirements.
    let history = unsafe { slot(vdev) }.load(Acquire);

    // SAFETY: A pointer that is not null comes from `into_foreign`, and is not taken back before
    // `vfio_history_free`. The load acquires what `create` has released.
    (!history.is_null()).then(|| unsafe { Pin::<KBox<History>>::borrow(history) })
}

/// Gives a device a history. Returns whether it has one, which it has not if memory runs out.
///
/// # Safety
///
/// `vdev` must point to a valid `struct vfio_device`. The function must not be called twice at the
/// same time for a device.
pub(crate) unsafe fn create(vdev: *mut vfio_device) -> bool {
    // SAFETY: By the safety requirements.
    let slot = unsafe { slot(vdev) };

    if slot.load(Acquire).is_null() {
        let Ok(history) = KBox::pin_init(History::new(), GFP_KERNEL) else {
            return false;
        };
        slot.store(history.into_foreign(), Release);
    }
    true
}

/// Frees the history of a device. See the C header.
///
/// # Safety
///
/// `vdev` must be valid, and nothing else may use the device.
#[no_mangle]
unsafe extern "C" fn vfio_history_free(vdev: *mut vfio_device) {
    // SAFETY: By the safety requirements.
    let history = unsafe { slot(vdev) }.xchg(ptr::null_mut(), Full);

    if !history.is_null() {
        // SAFETY: The pointer comes from `into_foreign`. Nothing borrows it, because the device has
        // no user, and its debugfs files are removed.
        drop(unsafe { Pin::<KBox<History>>::from_foreign(history) });
    }
}

// Checks that the function above has the type that the C header declares.
const _: unsafe extern "C" fn(*mut vfio_device) = bindings::vfio_history_free;
