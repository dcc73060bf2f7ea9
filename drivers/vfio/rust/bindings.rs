// SPDX-License-Identifier: GPL-2.0

//! What bindgen made of `bindings_helper.h`.
//!
//! Not for use outside this crate and a driver's own FFI file.

use kernel::ffi;
use pin_init::{
    MaybeZeroable,
    Zeroable, //
};

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

// bindgen does not do this by itself, <https://github.com/rust-lang/rust-bindgen/issues/3196>.
//
// SAFETY: `__BindgenBitfieldUnit<Storage>` is a newtype around `Storage`.
unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

include!(env!("VFIO_RUST_BINDINGS"));
