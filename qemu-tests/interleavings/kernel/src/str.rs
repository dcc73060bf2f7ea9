// SPDX-License-Identifier: GPL-2.0

//! C strings.

use crate::ffi::c_char;
pub use crate::ffi::CStr;

/// The methods that the kernel crate adds to [`CStr`].
pub trait CStrExt {
    fn as_char_ptr(&self) -> *const c_char;
}

impl CStrExt for CStr {
    fn as_char_ptr(&self) -> *const c_char {
        self.as_ptr().cast()
    }
}
