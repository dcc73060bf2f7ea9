// SPDX-License-Identifier: GPL-2.0

//! The part of the kernel crate that `drivers/vfio/rust` uses, implemented with loom's primitives.
//!
//! Names and signatures are those of `rust/kernel/` in Linux. The synchronisation primitives in
//! [`sync`] are implemented with loom's atomics, with the orderings of the kernel's source, so that
//! loom explores every order of the accesses and every value that a load may return. Everything
//! else exists only so that the code compiles.
//!
//! Everything must be used within `loom::model::Builder::check()`, after [`sync::prepare`].

pub mod bindings;
pub mod device;
pub mod error;
pub mod ffi;
pub mod fs;
pub mod init;
pub mod io;
pub mod module;
pub mod prelude;
pub mod str;
pub mod sync;
pub mod time;
pub mod trace;
pub mod transmute;
pub mod types;
pub mod uaccess;

pub use module::{ModuleMetadata, NoModule, ThisModule};

/// Returns a lock class. Locks have no classes here.
#[macro_export]
macro_rules! static_lock_class {
    () => {
        $crate::sync::LockClassKey
    };
}
