// SPDX-License-Identifier: GPL-2.0

//! A function that runs or is stopped, its resets, and accesses of a driver.
//!
//! Accesses to the function have a total order. A callback's access orders later accesses to
//! memory, as `readl()` does. The reset of the function orders nothing, so the driver must.

use crate::migration::Migration;
use kernel::trace;
use loom::{
    sync::atomic::{AtomicU32, Ordering},
    thread::{self, ThreadId},
};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{atomic::AtomicBool, Arc, Mutex},
};

/// The function does not run.
const STOPPED: u32 = 1;
/// A step of a reset: the beginning, the end.
const RESET_STEP: u32 = 2;

/// The number of steps of resets so far: an odd number during a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Steps(u32);

impl Steps {
    fn in_reset(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The function.
pub struct Hardware {
    register: AtomicU32,
    /// The steps that each thread saw when it could last check for a reset.
    looked: Mutex<HashMap<ThreadId, Steps>>,
    /// The function has written to memory.
    written: AtomicBool,
    /// See [`Hardware::is_realistic`].
    unrealistic: AtomicBool,
}

thread_local! {
    static PRESENT: RefCell<Option<Arc<Hardware>>> = const { RefCell::new(None) };
}

impl Hardware {
    /// Creates a function that runs. There is one at a time.
    pub fn new() -> Arc<Self> {
        let this = Arc::new(Self {
            register: AtomicU32::new(0),
            looked: Mutex::default(),
            written: AtomicBool::new(false),
            unrealistic: AtomicBool::new(false),
        });
        PRESENT.set(Some(this.clone()));
        this
    }

    pub(crate) fn present() -> Option<Arc<Self>> {
        PRESENT.with_borrow(Clone::clone)
    }

    /// Called when the current thread can check for a reset: when it enters a system call, or
    /// waits.
    pub fn can_look(&self) {
        self.looks();
    }

    fn looks(&self) {
        let steps = Steps(self.register.fetch_add(0, Ordering::Acquire) / RESET_STEP);
        let mut looked = self.looked.lock().expect("no thread panicked");
        looked.insert(thread::current().id(), steps);
    }

    /// Accesses the function at the beginning of a callback. Returns whether the access had an
    /// effect: writes during a reset are lost.
    ///
    /// # Panics
    ///
    /// If a reset runs that the thread could see when it could last check.
    fn access(&self, name: &str, change: impl Fn(u32) -> u32) -> bool {
        let set = |old| {
            let in_reset = Steps(old / RESET_STEP).in_reset();
            Some(if in_reset { old } else { change(old) })
        };
        let old = self
            .register
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, set)
            .expect("always set");
        let steps = Steps(old / RESET_STEP);
        let reset = if steps.in_reset() { " in a reset" } else { "" };
        trace::note(format_args!(
            "the callback {name}() accesses the function{reset}"
        ));
        let looked = self.looked.lock().expect("no thread panicked");
        let looked = looked[&thread::current().id()];
        assert!(
            !(steps.in_reset() && looked == steps),
            "{name}() was called in a reset that was known"
        );
        if !looked.in_reset() && steps.0 >= looked.0 + 2 {
            self.unrealistic.store(true, Ordering::Relaxed);
        }
        !steps.in_reset()
    }

    /// Stops the function.
    pub fn stop(&self, name: &str) -> bool {
        self.access(name, |old| old | STOPPED)
    }

    /// Starts the function.
    pub fn start(&self, name: &str) -> bool {
        self.access(name, |old| old & !STOPPED)
    }

    /// Accesses the function without a change.
    pub fn touch(&self, name: &str) -> bool {
        self.access(name, |old| old)
    }

    /// Lets the function write to memory, if it runs.
    pub fn dma(&self) {
        let runs = self
            .register
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                let steps = Steps(old / RESET_STEP);
                (old & STOPPED == 0 && !steps.in_reset()).then_some(old)
            });
        if runs.is_ok() {
            trace::note("the function writes to memory");
            self.written.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether the function has written to memory.
    pub fn has_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// Called when a callback returns.
    pub fn returns(&self) {
        self.looks();
    }

    /// Returns whether the function runs, when nothing else accesses it.
    pub fn runs(&self) -> bool {
        self.register.load(Ordering::Relaxed) & STOPPED == 0
    }

    /// Returns whether the execution can happen in reality: a reset takes 100 ms, so it does not
    /// begin and end between the check for a reset and the call of the driver.
    pub fn is_realistic(&self) -> bool {
        !self.unrealistic.load(Ordering::Relaxed)
    }

    /// Resets the function, as `pci_reset_function()` does. The function runs afterwards.
    pub fn reset(&self, migration: &impl Migration) {
        migration.reset_announced();
        migration.reset_prepare();
        self.register.fetch_add(RESET_STEP, Ordering::Relaxed);
        trace::note("the reset of the function begins");
        self.register
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                Some((old & !STOPPED) + RESET_STEP)
            })
            .expect("always set");
        trace::note("the reset of the function ends, it runs");
        migration.reset_done();
    }
}
