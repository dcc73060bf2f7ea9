// SPDX-License-Identifier: GPL-2.0

//! Function level resets.
//!
//! A reset arrives with the device lock held, and possibly with the core's memory lock, which
//! page faults on the device's memory wait for. It must therefore wait for nobody who talks to
//! the hardware. [`Guarded`] is a lock whose holder does on unlock what a reset has left for it;
//! a reset only ever tries to take it.
//!
//! The PF's driver does not want its VFs to be reset while it resets the PF, nor the other way
//! round. [`Exclusion`] keeps to that wherever there is a PF driver, whether the VF can migrate or
//! not.

use crate::ffi::{
    PfExclusive,
    PfQm, //
};
use kernel::{
    dev_warn,
    new_mutex,
    new_spinlock,
    pci,
    prelude::*,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Mutex,
        SpinLock, //
    },
    time::Delta, //
};

/// How long a reset waits for one of the PF or of another VF. A reset of the PF takes less.
const PATIENCE: Delta = Delta::from_secs(60);

/// A VF's part in the exclusion of resets.
#[pin_data]
pub(crate) struct Exclusion {
    pf: Option<PfQm>,
    #[pin]
    held: SpinLock<Option<PfExclusive>>,
}

impl Exclusion {
    /// For a VF of `pf`; without a PF driver there is nobody to exclude.
    pub(crate) fn new(pf: Option<PfQm>) -> impl PinInit<Self> {
        pin_init!(Self {
            pf,
            held <- new_spinlock!(None, "Exclusion::held"),
        })
    }

    /// Begins a reset. Sleeps until no other is on the way, for a minute at most.
    pub(crate) fn begin(&self, pdev: &pci::Device) {
        let Some(pf) = self.pf else { return };
        match pf.exclusive(PATIENCE) {
            Ok(exclusive) => {
                // What was there, if anything, is dropped without the lock.
                let _last = self.held.lock().replace(exclusive);
            }
            Err(_) => dev_warn!(pdev, "reset while the PF is being reset\n"),
        }
    }

    /// Ends a reset. Gives back only what [`Exclusion::begin`] has got.
    pub(crate) fn end(&self) {
        let held = self.held.lock().take();
        drop(held);
    }
}

/// Something that a reset brings back to where it started.
pub(crate) trait Reset: Send {
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
pub(crate) struct Guarded<T: Reset> {
    #[pin]
    data: Mutex<T>,
    #[pin]
    pending: SpinLock<Pending>,
}

impl<T: Reset + Unpin> Guarded<T> {
    /// Protects `data`.
    pub(crate) fn new(data: T) -> impl PinInit<Self> {
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
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.data.lock();
        let result = f(&mut data);
        self.unlock(data);
        result
    }

    /// Whether the hardware may not be touched because of a reset.
    pub(crate) fn in_reset(&self) -> bool {
        self.pending.lock().running
    }

    /// A reset begins.
    pub(crate) fn reset_begin(&self) {
        self.pending.lock().running = true;
    }

    /// A reset is done: the protected data learn of it now, or when their lock is given back.
    pub(crate) fn reset_end(&self) {
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

#[kernel::prelude::kunit_tests(rust_hisi_acc_reset)]
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
