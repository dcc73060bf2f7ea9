// SPDX-License-Identifier: GPL-2.0

//! The VFIO user API, as far as a VM monitor uses it.

mod container;
mod device;
#[allow(unsafe_code, reason = "it is what this module is for")]
pub(crate) mod ffi;
mod migration;

pub(crate) use container::{Container, Kind, Memory};
pub(crate) use device::{BAR0, BAR2, Device, ERROR, MSI, REGION_MMAP, REQUEST, Signal, Token};
pub(crate) use migration::{DataFile, Features, PrecopyInfo, State};
