// SPDX-License-Identifier: GPL-2.0

//! References to objects with their own reference count.

use core::{ops::Deref, ptr::NonNull};

/// # Safety
///
/// As in the kernel crate.
pub unsafe trait AlwaysRefCounted {
    fn inc_ref(&self);

    /// # Safety
    ///
    /// The caller must own a reference, and gives it up.
    unsafe fn dec_ref(obj: NonNull<Self>);
}

pub struct ARef<T: AlwaysRefCounted>(NonNull<T>);

// SAFETY: As in the kernel crate.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Send for ARef<T> {}
// SAFETY: As in the kernel crate.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Sync for ARef<T> {}

impl<T: AlwaysRefCounted> ARef<T> {
    /// # Safety
    ///
    /// The caller must own a reference, which passes to the `ARef`.
    pub unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        Self(ptr)
    }

    pub fn into_raw(me: Self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(me).0
    }
}

impl<T: AlwaysRefCounted> Clone for ARef<T> {
    fn clone(&self) -> Self {
        self.inc_ref();
        Self(self.0)
    }
}

impl<T: AlwaysRefCounted> Deref for ARef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The `ARef` owns a reference.
        unsafe { self.0.as_ref() }
    }
}

impl<T: AlwaysRefCounted> Drop for ARef<T> {
    fn drop(&mut self) {
        // SAFETY: The `ARef` owns a reference.
        unsafe { T::dec_ref(self.0) };
    }
}
