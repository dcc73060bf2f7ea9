// SPDX-License-Identifier: GPL-2.0

//! A lock that resets do not wait for.
//!
//! A reset arrives with the device lock held, and possibly with the core's memory lock, which
//! page faults on the device's memory wait for. It must therefore wait for nobody who talks to
//! the hardware. [`Guarded`] is a lock whose holder does on unlock what a reset has left for it;
//! a reset only ever tries to take it.

use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Mutex,
        SpinLock, //
    }, //
};

/// Something that a reset brings back to where it started.
pub trait Reset: Send {
    /// The function has been reset. Must not sleep for long.
    fn reset(&mut self);
}

/// What resets have left to do.
struct Pending {
    /// A reset is on the way: the hardware is not to be touched.
    running: bool,
    /// A reset has happened that the protected data do not know of.
    apply: bool,
}

/// A mutex that a reset does not wait for.
#[pin_data]
pub struct Guarded<T: Reset> {
    #[pin]
    data: Mutex<T>,
    #[pin]
    pending: SpinLock<Pending>,
}

impl<T: Reset + Unpin> Guarded<T> {
    /// Protects `data`.
    pub fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- new_mutex!(data, "Guarded::data"),
            pending <- new_spinlock!(
                Pending {
                    running: false,
                    apply: false,
                },
                "Guarded::pending"
            ),
        })
    }

    /// Runs `f` with the lock held. Another holder may be talking to the hardware meanwhile.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.data.lock();
        let result = f(&mut data);
        self.unlock(data);
        result
    }

    /// Whether the hardware may not be touched because of a reset.
    pub fn in_reset(&self) -> bool {
        self.pending.lock().running
    }

    /// A reset begins.
    pub fn reset_begin(&self) {
        self.pending.lock().running = true;
    }

    /// A reset is done: the protected data learn of it now, or when their lock is given back.
    pub fn reset_end(&self) {
        let mut pending = self.pending.lock();
        pending.running = false;
        pending.apply = true;
        let data = self.data.try_lock();
        drop(pending);

        if let Some(data) = data {
            self.unlock(data);
        }
    }

    fn unlock(&self, mut data: Guard<'_, T, MutexBackend>) {
        loop {
            let mut pending = self.pending.lock();
            if !core::mem::take(&mut pending.apply) {
                // Under the spin lock: a reset that fails to get the mutex must find somebody
                // who looks here again.
                drop(data);
                return;
            }
            drop(pending);
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
