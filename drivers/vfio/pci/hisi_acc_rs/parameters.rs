// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module.

mod ffi;

pub(crate) use self::ffi::dma_logging;
