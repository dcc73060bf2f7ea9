// SPDX-License-Identifier: GPL-2.0

//! The items of `kernel::prelude`.

pub use crate::{
    error::{code::*, Error, Result},
    ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void, CStr},
    init::{flags::*, InPlaceInit, KBox, KVec},
    str::CStrExt as _,
    uaccess::UserPtr,
    ThisModule,
};
pub use core::{
    mem::{align_of, size_of},
    pin::Pin,
};
pub use kernel_macros::{kunit_tests, pin_data, vtable};
pub use pinned_init::{init, pin_init, pinned_drop, Init, PinInit, Zeroable};
pub use zerocopy::{FromBytes, IntoBytes};
