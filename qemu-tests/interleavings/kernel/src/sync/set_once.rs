// SPDX-License-Identifier: GPL-2.0

//! A cell that is set once.
//!
//! Rust source in the kernel: `rust/kernel/sync/set_once.rs`. Every step of it is modelled.

use crate::trace;
use core::{
    cell::{OnceCell, RefCell, UnsafeCell},
    mem::MaybeUninit,
};
use loom::sync::atomic::{AtomicU32, Ordering};

thread_local! {
    static SPARE: RefCell<Vec<AtomicU32>> = const { RefCell::new(Vec::new()) };
}

/// The number of [`SetOnce`] that one execution of a test may use.
const SPARES: usize = 8;

/// Prepares an execution. Called by [`prepare`](super::prepare).
///
/// [`SetOnce::new`] is a `const fn`, which cannot create a loom atomic. When a cell is first used,
/// it takes one of the atomics that are created here.
pub(super) fn prepare() {
    SPARE.set((0..SPARES).map(|_| AtomicU32::new(0)).collect());
}

pub struct SetOnce<T> {
    init: OnceCell<AtomicU32>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: As in the kernel crate. All threads of a loom model run on one thread of the machine, so
// that nothing accesses the `OnceCell` concurrently.
unsafe impl<T: Send> Send for SetOnce<T> {}
// SAFETY: As for `Send`.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    pub const fn new() -> Self {
        Self {
            init: OnceCell::new(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    fn init(&self) -> &AtomicU32 {
        self.init.get_or_init(|| {
            SPARE.with_borrow_mut(|spare| spare.pop().expect("SPARES is too small"))
        })
    }

    #[track_caller]
    pub fn as_ref(&self) -> Option<&T> {
        let init = self.init().load(Ordering::Acquire);
        trace::step(|| format!("loads {init} of the SetOnce"));
        if init == 2 {
            // SAFETY: `init` is 2 after the value was written.
            Some(unsafe { (*self.value.get()).assume_init_ref() })
        } else {
            None
        }
    }

    #[track_caller]
    pub fn populate(&self, value: T) -> bool {
        let won = self
            .init()
            .compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        trace::step(|| format!("sets the SetOnce to 1: {won}"));
        if won {
            // SAFETY: At most one thread has changed `init` from 0 to 1, and no thread reads the
            // value before `init` is 2.
            unsafe { (*self.value.get()).write(value) };
            self.init().store(2, Ordering::Release);
            trace::step(|| "sets the SetOnce to 2".into());
        }
        won
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        let Some(init) = self.init.get_mut() else {
            return;
        };
        if init.with_mut(|init| *init == 2) {
            // SAFETY: `init` is 2 after the value was written.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
