// SPDX-License-Identifier: GPL-2.0

//! A lock that resets do not wait for.
//!
//! A reset arrives with the device lock held, and possibly with the core's memory lock, which
//! page faults on the device's memory wait for. It must therefore wait for nobody who talks to
//! the hardware. [`Guarded`] is a lock whose next or present holder does what a reset has left for
//! it; a reset only ever tries to take it.

use kernel::{
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
    }, //
};

/// Something that a reset brings back to where it started.
pub trait Reset: Send {
    /// The function has been reset. Must not sleep for long.
    fn reset(&mut self);
}

/// A mutex that a reset does not wait for.
#[pin_data]
pub struct Guarded<T: Reset> {
    #[pin]
    data: Mutex<T>,
    /// A reset is on the way: the hardware is not to be touched.
    running: Atomic<bool>,
    /// A reset has happened that the protected data do not know of.
    apply: Atomic<bool>,
}

impl<T: Reset + Unpin> Guarded<T> {
    /// Protects `data`.
    pub fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- new_generic_mutex!(data, c"vfio::Guarded::data"),
            running: Atomic::new(false),
            apply: Atomic::new(false),
        })
    }

    /// Runs `f` with the lock held. Another holder may be talking to the hardware meanwhile.
    ///
    /// `f` finds the data as the last reset that is done has left them.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.data.lock();
        if self.is_pending() {
            self.catch_up(&mut data);
        }
        let result = f(&mut data);
        drop(data);

        // Orders the unlocking before the look at `apply`: a reset that found the mutex taken is
        // seen here. `reset_end()` has the other half.
        smp_mb(Full);
        if self.is_pending() {
            self.apply_pending();
        }
        result
    }

    /// Whether the hardware may not be touched because of a reset.
    pub fn in_reset(&self) -> bool {
        self.running.load(Acquire)
    }

    /// A reset begins.
    pub fn reset_begin(&self) {
        self.running.store(true, Relaxed);
    }

    /// A reset is done: the protected data learn of it now, or from who has their lock.
    pub fn reset_end(&self) {
        self.running.store(false, Release);
        // Fully ordered: it comes before the attempt to get the mutex.
        self.apply.xchg(true, Full);
        self.apply_pending();
    }

    /// Whether a reset has happened that the data do not know of. Mostly there was none.
    #[inline]
    fn is_pending(&self) -> bool {
        self.apply.load(Relaxed)
    }

    /// Has the data learn of a reset, unless another has their lock: that one looks again when it
    /// has given it back.
    #[cold]
    fn apply_pending(&self) {
        while self.is_pending() {
            let Some(mut data) = self.data.try_lock() else {
                return;
            };
            self.catch_up(&mut data);
            drop(data);
            smp_mb(Full);
        }
    }

    /// Has the data learn of a reset, unless they know of it by now.
    #[cold]
    fn catch_up(&self, data: &mut T) {
        if self.apply.xchg(false, Full) {
            data.reset();
        }
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_reset)]
mod tests {
    use super::*;

    struct Count(u32);

    impl Reset for Count {
        fn reset(&mut self) {
            self.0 += 1;
        }
    }

    #[test]
    fn reset_is_applied_at_once_if_nobody_is_busy() -> Result {
        let guarded = KBox::pin_init(Guarded::new(Count(0)), GFP_KERNEL)?;
        guarded.reset_begin();
        assert!(guarded.in_reset());
        assert_eq!(guarded.with(|count| count.0), 0);
        guarded.reset_end();
        assert!(!guarded.in_reset());
        assert_eq!(guarded.with(|count| count.0), 1);
        Ok(())
    }

    #[test]
    fn reset_does_not_wait_for_who_is_busy() -> Result {
        let guarded = KBox::pin_init(Guarded::new(Count(0)), GFP_KERNEL)?;
        let during = guarded.with(|count| {
            guarded.reset_begin();
            guarded.reset_end();
            count.0
        });
        assert_eq!(during, 0);
        assert_eq!(guarded.with(|count| count.0), 1);
        Ok(())
    }
}
