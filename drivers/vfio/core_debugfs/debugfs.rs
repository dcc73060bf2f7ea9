// SPDX-License-Identifier: GPL-2.0

//! VFIO core's debugfs: information about the core's devices.
//!
//! ```text
//! /sys/kernel/debug/vfio/             as long as vfio.ko is there
//!   <device>/                         as long as the device is registered
//!     migration/                      only for a device that can migrate
//!       state                         the state of the migration protocol
//!       features                      what of the protocol the device supports
//!       history                       the last requests for states
//! ```
//!
//! [`ffi`] holds the four functions that the core calls for the files and everything that deals with
//! pointers; `request` holds those that it calls for a request. [`file`] describes a file, and the
//! content of each file is in a module of its own. Nothing here can fail a registration: a file or a
//! directory that cannot be created is missing, and so is everything that would be below it.
//!
//! The format is described in `Documentation/ABI/testing/debugfs-vfio`.
//!
//! C header: [`drivers/vfio/vfio.h`](srctree/drivers/vfio/vfio.h)

#[path = "../rust/bindings.rs"]
mod bindings;
mod features;
mod ffi;
mod file;
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
mod history;
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
mod history_file;
#[path = "../rust/migration/features.rs"]
mod migration_features;
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the crate vfio"
)]
#[path = "../rust/recent_ring.rs"]
mod recent_ring;
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
#[path = "request/ffi.rs"]
mod request;
mod state;
#[path = "../rust/migration/state_names.rs"]
mod state_names;
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
#[allow(unreachable_pub, reason = "it is a module of the crate vfio")]
#[path = "../rust/timestamp.rs"]
mod timestamp;
