// SPDX-License-Identifier: GPL-2.0

//! The types of C, with the sizes that they have in the kernel on 64-bit machines.

#![allow(non_camel_case_types)]

pub use core::ffi::{c_int, c_uint, c_void, CStr};

pub type c_char = u8;
pub type c_long = isize;
pub type c_ulong = usize;
