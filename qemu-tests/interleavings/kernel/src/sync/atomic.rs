// SPDX-License-Identifier: GPL-2.0

//! Atomics with the orderings of the Linux kernel memory model.
//!
//! Rust source in the kernel: `rust/kernel/sync/atomic.rs`

use crate::trace;
use loom::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use ordering::{Acquire, Full, Relaxed, Release};

pub mod ordering {
    use super::Ordering;

    pub struct Relaxed;
    pub struct Acquire;
    pub struct Release;
    /// Ordered against everything before and after it.
    pub struct Full;

    pub trait Any {
        const ORDERING: Ordering;
        const FULL: bool = false;
    }

    impl Any for Relaxed {
        const ORDERING: Ordering = Ordering::Relaxed;
    }
    impl Any for Acquire {
        const ORDERING: Ordering = Ordering::Acquire;
    }
    impl Any for Release {
        const ORDERING: Ordering = Ordering::Release;
    }
    impl Any for Full {
        const ORDERING: Ordering = Ordering::AcqRel;
        const FULL: bool = true;
    }

    pub trait AcquireOrRelaxed: Any {}
    impl AcquireOrRelaxed for Acquire {}
    impl AcquireOrRelaxed for Relaxed {}

    pub trait ReleaseOrRelaxed: Any {}
    impl ReleaseOrRelaxed for Release {}
    impl ReleaseOrRelaxed for Relaxed {}
}

use ordering::{AcquireOrRelaxed, Any, ReleaseOrRelaxed};

/// A type for which loom has an atomic.
pub trait AtomicType: Copy + core::fmt::Debug {
    type Repr;

    fn make(value: Self) -> Self::Repr;
    fn load(repr: &Self::Repr, ordering: Ordering) -> Self;
    fn store(repr: &Self::Repr, value: Self, ordering: Ordering);
    fn swap(repr: &Self::Repr, value: Self, ordering: Ordering) -> Self;
    fn exchange(repr: &Self::Repr, old: Self, new: Self, ordering: Ordering) -> Result<Self, Self>;
}

macro_rules! atomic_types {
    ($($plain:ty: $atomic:ty,)*) => {$(
        impl AtomicType for $plain {
            type Repr = $atomic;

            #[track_caller]
            fn make(value: Self) -> $atomic {
                <$atomic>::new(value)
            }

            #[track_caller]
            fn load(repr: &$atomic, ordering: Ordering) -> Self {
                repr.load(ordering)
            }

            #[track_caller]
            fn store(repr: &$atomic, value: Self, ordering: Ordering) {
                repr.store(value, ordering);
            }

            #[track_caller]
            fn swap(repr: &$atomic, value: Self, ordering: Ordering) -> Self {
                repr.swap(value, ordering)
            }

            #[track_caller]
            fn exchange(
                repr: &$atomic,
                old: Self,
                new: Self,
                ordering: Ordering,
            ) -> Result<Self, Self> {
                repr.compare_exchange(old, new, ordering, Ordering::Relaxed)
            }
        }
    )*};
}

atomic_types! {
    bool: AtomicBool,
    u32: AtomicU32,
    u64: AtomicU64,
    usize: AtomicUsize,
}

pub struct Atomic<T: AtomicType>(T::Repr);

impl<T: AtomicType> Atomic<T> {
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(T::make(value))
    }

    #[track_caller]
    pub fn load<O: AcquireOrRelaxed>(&self, _: O) -> T {
        let value = T::load(&self.0, O::ORDERING);
        trace::step(|| format!("loads {value:?}"));
        value
    }

    #[track_caller]
    pub fn store<O: ReleaseOrRelaxed>(&self, value: T, _: O) {
        T::store(&self.0, value, O::ORDERING);
        trace::step(|| format!("stores {value:?}"));
    }

    #[track_caller]
    pub fn xchg<O: Any>(&self, value: T, _: O) -> T {
        full::<O>();
        let old = T::swap(&self.0, value, O::ORDERING);
        trace::step(|| format!("exchanges {old:?} for {value:?}"));
        full::<O>();
        old
    }

    /// A failed exchange orders nothing.
    #[track_caller]
    pub fn cmpxchg<O: Any>(&self, old: T, new: T, _: O) -> Result<T, T> {
        full::<O>();
        let result = T::exchange(&self.0, old, new, O::ORDERING);
        trace::step(|| match result {
            Ok(old) => format!("exchanges {old:?} for {new:?}"),
            Err(other) => format!("finds {other:?} instead of {old:?}"),
        });
        if result.is_ok() {
            full::<O>();
        }
        result
    }
}

fn full<O: Any>() {
    if O::FULL {
        fence(Ordering::SeqCst);
    }
}
