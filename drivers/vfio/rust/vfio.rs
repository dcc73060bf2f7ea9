// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the VFIO core and vfio-pci-core.
//!
//! A variant driver implements [`device::Operations`] and, where its device can migrate,
//! [`migration::Operations`], and registers itself with [`pci::Adapter`]. It writes no `unsafe`
//! for what VFIO is about; what is particular to its hardware stays with it.
//!
//! The crate is built into the module that uses it, see `vfio.mk`.
//!
//! C headers: `include/linux/vfio.h`, `include/linux/vfio_pci_core.h`

#[allow(
    clippy::all,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
#[doc(hidden)]
pub mod bindings;

pub mod data_file;
pub mod debugfs;
pub mod device;
pub mod io;
pub mod migration;
pub mod pci;
pub mod region;
