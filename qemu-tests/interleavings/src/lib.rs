// SPDX-License-Identifier: GPL-2.0

//! Checks the concurrent parts of the crate `vfio` in every interleaving.
//!
//! The source files are those of `drivers/vfio/rust`, unchanged: resets, data files, and the state
//! machine. They are compiled against [`kernel`], which has the names of the kernel crate and
//! loom's primitives behind them. `Documentation/interleavings.rst` says what is checked.

// The macros of pin-init name their crate by the name that it has outside of the kernel.
extern crate pinned_init as pin_init;
// Watches what the driver's files do with pointers.
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

// Lints of these files are those of the kernel's build.
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

pub use source::vfio::{data_file, migration, reset};
