// SPDX-License-Identifier: GPL-2.0

//! What the programs of the emulated host need of Linux: memory that a device accesses as well,
//! PCI functions in sysfs, and limits of time that suit the kernel.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[allow(unsafe_code, reason = "it is what this module is for")]
pub mod ffi;
pub mod sysfs;
pub mod timeouts;
