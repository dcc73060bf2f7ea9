// SPDX-License-Identifier: GPL-2.0

//! Synchronisation primitives, implemented with loom's atomics.

mod arc;
pub mod aref;
pub mod atomic;
pub mod barrier;
mod lock;
pub mod poll;
mod set_once;
pub mod watch;

pub use self::{
    arc::{Arc, ArcBorrow},
    lock::{Guard, Mutex, MutexGuard},
    set_once::SetOnce,
};

/// Prepares an execution of a test. Must be called at its start, before it creates threads.
pub fn prepare() {
    set_once::prepare();
    watch::prepare();
}

/// A lock class for lockdep, which does not exist here.
#[derive(Clone, Copy)]
pub struct LockClassKey;
