// SPDX-License-Identifier: GPL-2.0

//! The mutex.
//!
//! loom has one, but its unlock is not a separate step: loom would not explore a `try_lock()` just
//! before it. This mutex is a lock word, as in the kernel: locking acquires, unlocking releases,
//! and neither is a full barrier (`Documentation/memory-barriers.txt`).

use super::LockClassKey;
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{Deref, DerefMut},
};
use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, Thread},
};
use pinned_init::{pin_data, pin_init, PinInit, Wrapper};

use crate::{ffi::CStr, trace};

#[pin_data]
pub struct Mutex<T> {
    locked: AtomicBool,
    /// Threads that sleep until the mutex is unlocked. loom switches threads at its own primitives
    /// only, so that this needs no lock.
    sleepers: core::cell::RefCell<Vec<Thread>>,
    #[pin]
    data: UnsafeCell<T>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The mutex passes the data on to one thread at a time. All threads of a loom model run on
// one thread of the machine, so that nothing accesses `sleepers` concurrently.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: As for `Send`.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    #[track_caller]
    pub fn new(
        data: impl PinInit<T>,
        _name: &'static CStr,
        _class: LockClassKey,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            locked: AtomicBool::new(false),
            sleepers: core::cell::RefCell::new(Vec::new()),
            data <- UnsafeCell::pin_init(data),
            _pin: PhantomPinned,
        })
    }

    #[track_caller]
    pub fn lock(&self) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.attempt() {
                trace::step(|| "locks".into());
                return guard;
            }
            trace::step(|| "waits for the lock".into());
            self.sleepers.borrow_mut().push(thread::current());
            thread::park();
        }
    }

    #[track_caller]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let guard = self.attempt();
        trace::step(|| match guard {
            Some(_) => "locks".into(),
            None => "does not get the lock".into(),
        });
        guard
    }

    fn attempt(&self) -> Option<Guard<'_, T>> {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Guard(self))
    }
}

pub struct Guard<'a, T>(&'a Mutex<T>);

pub type MutexGuard<'a, T> = Guard<'a, T>;

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: This thread holds the mutex.
        unsafe { &*self.0.data.get() }
    }
}

impl<T: Unpin> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: This thread holds the mutex.
        unsafe { &mut *self.0.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.0.locked.store(false, Ordering::Release);
        trace::note("unlocks");
        for sleeper in self.0.sleepers.take() {
            sleeper.unpark();
        }
    }
}
