// SPDX-License-Identifier: GPL-2.0

//! Reference counting.

use crate::{
    error::{Error, Result},
    ffi::c_void,
    init::{flags::Flags, pinned, InPlaceInit},
    types::ForeignOwnable,
};
use core::{mem::ManuallyDrop, ops::Deref, pin::Pin};
use pinned_init::{Init, PinInit};

/// loom's `Arc` has no in-place initialisation, so it contains a box.
pub struct Arc<T>(ManuallyDrop<loom::sync::Arc<Pin<Box<T>>>>);

impl<T> Arc<T> {
    fn from_loom(inner: loom::sync::Arc<Pin<Box<T>>>) -> Self {
        Self(ManuallyDrop::new(inner))
    }
}

/// An execution that has failed stops immediately, and does not call loom any more.
impl<T> Drop for Arc<T> {
    #[track_caller]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: The field is not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

impl<T> Clone for Arc<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> InPlaceInit<T> for Arc<T> {
    type PinnedSelf = Self;

    #[track_caller]
    fn pin_init<E>(init: impl PinInit<T, E>, _: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        Ok(Self::from_loom(loom::sync::Arc::new(pinned(init)?)))
    }

    #[track_caller]
    fn init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::pin_init(init, flags)
    }
}

/// A borrowed [`Arc`].
pub struct ArcBorrow<'a, T>(&'a Pin<Box<T>>);

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

// SAFETY: The pointer was returned by `loom::sync::Arc::into_raw()`.
unsafe impl<T: 'static> ForeignOwnable for Arc<T> {
    type Borrowed<'a> = ArcBorrow<'a, T>;

    fn into_foreign(self) -> *mut c_void {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used afterwards.
        let inner = unsafe { ManuallyDrop::take(&mut this.0) };
        loom::sync::Arc::into_raw(inner).cast_mut().cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: By the safety requirements the pointer comes from `into_foreign()`.
        Self::from_loom(unsafe { loom::sync::Arc::from_raw(ptr.cast_const().cast()) })
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> ArcBorrow<'a, T> {
        // SAFETY: By the safety requirements the reference behind the pointer lives for `'a`.
        ArcBorrow(unsafe { &*ptr.cast_const().cast() })
    }
}
