// SPDX-License-Identifier: GPL-2.0

//! A lock that resets do not wait for.
//!
//! A reset runs with the device lock held, and possibly with the core's memory lock, which page
//! faults on the device's memory wait for. Therefore it must not wait for a thread that accesses
//! the hardware. [`ResetMutex`] is a mutex whose current or next holder applies the reset to the
//! protected data; the reset itself only tries to take the mutex.

use crate::bindings;
use kernel::{
    io::poll::read_poll_timeout,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        barrier::smp_mb,
        Mutex, //
    },
    time::Delta, //
};

/// Interval at which a waiting thread polls.
const WAIT_INTERVAL: Delta = Delta::from_millis(1);

/// How long a reset waits for a thread that has waited for the previous reset.
const TURN: Delta = Delta::from_millis(100);

/// Data that a reset of the function returns to its initial state.
pub(crate) trait ResetAware: Send {
    /// Called after the function has been reset. Must not sleep for long, and must not access the
    /// function: the next reset may have begun.
    fn reset(&mut self);
}

/// A mutex that a reset does not wait for.
#[pin_data]
pub(crate) struct ResetMutex<T: ResetAware> {
    #[pin]
    data: Mutex<T>,
    /// A reset was requested and has not ended. The function still works until `running` is set.
    announced: Atomic<bool>,
    /// The function is being reset.
    running: Atomic<bool>,
    /// A reset has ended that has not been applied to `data`.
    apply: Atomic<bool>,
    /// A thread has waited for a reset, and has not finished the operation that it waited for.
    turn: Atomic<bool>,
}

impl<T: ResetAware + Unpin> ResetMutex<T> {
    /// Protects `data`.
    pub(crate) fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- new_generic_mutex!(data, c"vfio::ResetMutex::data"),
            announced: Atomic::new(false),
            running: Atomic::new(false),
            apply: Atomic::new(false),
            turn: Atomic::new(false),
        })
    }

    /// Runs `f` with the mutex held.
    ///
    /// `f` sees the effect of every reset that has ended before. A reset that ends while `f` runs
    /// is applied when `f` returns, or when `f` calls `apply_reset()`.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.data.lock();
        self.apply_reset(&mut data);
        let result = f(&mut data);
        drop(data);

        // Orders the unlock before the load of `apply`, so that a reset that failed to take the
        // mutex is seen here. Pairs with the exchange in `reset_end()`.
        smp_mb(Full);
        self.try_apply_reset();
        result
    }

    /// Applies a reset that has ended to `data`, which must be the protected data. Returns whether
    /// there was one.
    #[inline]
    pub(crate) fn apply_reset(&self, data: &mut T) -> bool {
        self.is_pending() && self.catch_up(data)
    }

    /// Returns whether the function is being reset: its registers must not be accessed.
    pub(crate) fn in_reset(&self) -> bool {
        self.running.load(Acquire)
    }

    /// Returns whether a reset was requested and has not ended.
    pub(crate) fn reset_expected(&self) -> bool {
        self.announced.load(Acquire) || self.in_reset()
    }

    /// Waits until no reset is expected any more. It must not be called with a lock held that a
    /// reset needs. The next reset is delayed for a short time, or until [`ResetMutex::end_turn`]
    /// is called.
    ///
    /// # Errors
    ///
    /// [`EINTR`] if the thread is being killed, [`ETIMEDOUT`] after `patience`.
    pub(crate) fn wait_for_reset(&self, patience: Delta) -> Result {
        self.turn.store(true, Relaxed);
        read_poll_timeout(
            || {
                // SAFETY: The function has no safety requirements; it reads the current task.
                if unsafe { bindings::vfio_rust_helper_fatal_signal_pending() } {
                    return Err(EINTR);
                }
                Ok(self.reset_expected())
            },
            |expected| !expected,
            WAIT_INTERVAL,
            patience,
        )
        .map(drop)
    }

    /// Called when a thread has finished or abandoned the operation for which it called
    /// [`ResetMutex::wait_for_reset`].
    pub(crate) fn end_turn(&self) {
        self.turn.store(false, Relaxed);
    }

    /// Called when a reset was requested, before anything waits for it. Sleeps for a short time if
    /// a thread has waited for the previous reset; otherwise that thread would never proceed if
    /// resets followed one another without a pause.
    pub(crate) fn reset_announced(&self) {
        // An operation that takes longer than that is interrupted by the reset, and waits again.
        let _ = read_poll_timeout(
            || Ok(self.turn.load(Relaxed)),
            |turn| !turn,
            WAIT_INTERVAL,
            TURN,
        );
        self.announced.store(true, Relaxed);
    }

    /// Called when the function is about to be reset.
    pub(crate) fn reset_begin(&self) {
        self.running.store(true, Relaxed);
        // Orders the store before the reset of the hardware: a thread whose access failed because
        // of the reset must see it.
        smp_mb(Full);
    }

    /// Called when the function has been reset.
    pub(crate) fn reset_end(&self) {
        // This comes before `running` is cleared: a thread that sees that no reset is running must
        // also see that one has ended. It is fully ordered, and so also comes before the attempt to
        // take the mutex.
        self.apply.xchg(true, Full);
        self.running.store(false, Release);
        self.announced.store(false, Release);
        self.try_apply_reset();
    }

    /// Returns whether a reset has ended that has not been applied to the data.
    #[inline]
    fn is_pending(&self) -> bool {
        self.apply.load(Relaxed)
    }

    /// Applies a pending reset, unless another thread holds the mutex. The holder checks again
    /// after it has unlocked it.
    #[inline]
    fn try_apply_reset(&self) {
        while self.is_pending() {
            let Some(mut data) = self.data.try_lock() else {
                return;
            };
            self.catch_up(&mut data);
            drop(data);
            smp_mb(Full);
        }
    }

    /// Applies a pending reset to the data, unless another thread was faster. Returns whether it
    /// did.
    #[cold]
    fn catch_up(&self, data: &mut T) -> bool {
        let pending = self.apply.xchg(false, Full);
        if pending {
            data.reset();
        }
        pending
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_reset)]
mod tests {
    use super::*;

    struct Count(u32);

    impl ResetAware for Count {
        fn reset(&mut self) {
            self.0 += 1;
        }
    }

    #[test]
    fn reset_is_applied_at_once_if_the_mutex_is_free() -> Result {
        let guarded = KBox::pin_init(ResetMutex::new(Count(0)), GFP_KERNEL)?;
        guarded.reset_announced();
        assert!(!guarded.in_reset());
        assert!(guarded.reset_expected());
        guarded.reset_begin();
        assert!(guarded.in_reset());
        assert_eq!(guarded.with(|count| count.0), 0);
        guarded.reset_end();
        assert!(!guarded.reset_expected());
        assert_eq!(guarded.with(|count| count.0), 1);
        Ok(())
    }

    #[test]
    fn reset_does_not_wait_for_the_mutex() -> Result {
        let guarded = KBox::pin_init(ResetMutex::new(Count(0)), GFP_KERNEL)?;
        let (before, after) = guarded.with(|count| {
            guarded.reset_begin();
            guarded.reset_end();
            let before = count.0;
            guarded.apply_reset(count);
            (before, count.0)
        });
        assert_eq!((before, after), (0, 1));
        assert_eq!(guarded.with(|count| count.0), 1);
        Ok(())
    }

    #[test]
    fn wait_ends_with_the_reset_or_with_the_patience() -> Result {
        let guarded = KBox::pin_init(ResetMutex::new(Count(0)), GFP_KERNEL)?;
        assert_eq!(guarded.wait_for_reset(Delta::ZERO), Ok(()));
        guarded.reset_announced();
        let patience = Delta::from_millis(3);
        assert_eq!(guarded.wait_for_reset(patience), Err(ETIMEDOUT));
        guarded.reset_begin();
        guarded.reset_end();
        assert_eq!(guarded.wait_for_reset(patience), Ok(()));
        guarded.end_turn();
        Ok(())
    }
}
