// SPDX-License-Identifier: GPL-2.0

//! Synchronisation primitives, made of loom's atomics.

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

/// Must be called at the start of every execution of a test, before it makes threads.
pub fn prepare() {
    set_once::prepare();
    watch::prepare();
}

/// A class of locks for lockdep, which there is not.
#[derive(Clone, Copy)]
pub struct LockClassKey;
