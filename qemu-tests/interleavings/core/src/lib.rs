// SPDX-License-Identifier: GPL-2.0

//! The crate `core`, with checks of accesses to shared memory through pointers.
//!
//! `migration/data.rs` uses one of these functions to write data that other threads read with the
//! other function.

pub use ::core::*;

pub mod ptr {
    pub use ::core::ptr::*;
    use kernel::sync::watch;

    /// # Safety
    ///
    /// As in `core`.
    pub unsafe fn copy_nonoverlapping<T>(from: *const T, to: *mut T, count: usize) {
        watch::write(to.cast(), count * size_of::<T>());
        // SAFETY: The safety requirements are those of `core`.
        unsafe { ::core::ptr::copy_nonoverlapping(from, to, count) };
    }
}

pub mod slice {
    pub use ::core::slice::*;
    use kernel::sync::watch;

    /// # Safety
    ///
    /// As in `core`.
    pub unsafe fn from_raw_parts<'a, T>(data: *const T, len: usize) -> &'a [T] {
        watch::read(data.cast(), len * size_of::<T>());
        // SAFETY: The safety requirements are those of `core`.
        unsafe { ::core::slice::from_raw_parts(data, len) }
    }
}
