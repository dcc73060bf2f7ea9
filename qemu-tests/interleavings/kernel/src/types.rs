// SPDX-License-Identifier: GPL-2.0

//! Ownership that passes to C and back.

use crate::ffi::c_void;

/// # Safety
///
/// As in the kernel crate.
pub unsafe trait ForeignOwnable: Sized {
    type Borrowed<'a>
    where
        Self: 'a;

    fn into_foreign(self) -> *mut c_void;

    /// # Safety
    ///
    /// `ptr` must come from `into_foreign()`, and nothing may borrow it or take it back any more.
    unsafe fn from_foreign(ptr: *mut c_void) -> Self;

    /// # Safety
    ///
    /// `ptr` must come from `into_foreign()`, and must not be taken back for `'a`.
    unsafe fn borrow<'a>(ptr: *mut c_void) -> Self::Borrowed<'a>;
}
