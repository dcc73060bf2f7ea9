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

#[doc(hidden)]
pub mod bindings;

pub mod data_file;
pub mod debugfs;
pub mod device;
pub mod io;
pub mod migration;
pub mod pci;
pub mod prelude;
pub mod region;
pub mod reset;
