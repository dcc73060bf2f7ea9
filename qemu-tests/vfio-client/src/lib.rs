// SPDX-License-Identifier: GPL-2.0

//! A client of VFIO: the user API of `linux/vfio.h`, as far as a VM monitor uses it for a PCI
//! function that migrates.
//!
//! A [`Container`] maps the DMA memory of the functions of a VM, by type1 or by iommufd. A
//! [`Device`] is an open function: its regions, its interrupts, its migration states and its
//! [`DataFile`]s. What a client asks for that does not behave well is in [`ffi`].

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod container;
mod device;
mod dirty_pages;
mod dma_logging;
#[allow(unsafe_code, reason = "it is what this module is for")]
pub mod ffi;
mod migration;

pub use container::{Container, Kind, LARGEST_PAGE, Memory, PAGE, iommu_tracks};
pub use device::{BAR0, BAR2, Device, ERROR, MSI, REGION_MMAP, REQUEST, Signal, Token};
pub use dirty_pages::{DirtyPages, IovaRange};
pub use migration::{DataFile, Features, PrecopyInfo, State};
