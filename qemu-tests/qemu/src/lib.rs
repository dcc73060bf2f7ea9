// SPDX-License-Identifier: GPL-2.0

//! Builds a static library of the accelerator model, which the C files in `shim/` link with.

pub mod ffi;
