// SPDX-License-Identifier: GPL-2.0

//! Checks the concurrent parts of the crate `vfio` in every interleaving.
//!
//! The source files are those of `drivers/vfio/rust`, unchanged: resets, data files, and the state
//! machine. They are compiled against [`kernel`], which has the API of the kernel crate and is
//! implemented with loom's primitives. `Documentation/interleavings.rst` describes the checks.

// The macros of pin-init refer to their crate by its name outside of the kernel.
extern crate pinned_init as pin_init;
// Checks pointer accesses of the driver's files.
extern crate watched_core as core;

/// As in the crate's `vfio.rs`.
macro_rules! new_generic_mutex {
    ($inner:expr, $name:literal) => {
        kernel::sync::Mutex::new($inner, $name, kernel::static_lock_class!())
    };
}

pub mod bindings;
pub mod device;
pub mod explore;
pub mod hardware;
pub mod user;
pub mod vf;

// The kernel's build checks these files with its own lints.
#[allow(
    unknown_lints,
    clippy::all,
    rustdoc::broken_intra_doc_links,
    rustdoc::private_intra_doc_links,
    dead_code,
    mismatched_lifetime_syntaxes,
    unreachable_pub,
    unused_imports
)]
mod source {
    include!(concat!(env!("OUT_DIR"), "/vfio.rs"));
}

pub(crate) use source::vfio::{data_file, reset};
pub use source::vfio::{dma_logging, migration};
