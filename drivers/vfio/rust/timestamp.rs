// SPDX-License-Identifier: GPL-2.0

//! Moments that are measured from, and nanos to people.
//!
//! C header: `include/linux/timekeeping.h`

use kernel::{
    bindings,
    time::{
        ClockSource,
        Delta,
        Monotonic, //
    }, //
};

/// A reading of [`Monotonic`]. Unlike [`kernel::time::Instant`] it can be nanos by another clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(bindings::ktime_t);

impl Timestamp {
    /// What the clock says.
    #[inline]
    pub fn now() -> Self {
        Self(Monotonic::ktime_get())
    }

    /// The time that has passed since then.
    #[inline]
    pub fn elapsed(self) -> Delta {
        Delta::from_nanos(Monotonic::ktime_get() - self.0)
    }

    /// Nanoseconds since 1970 then, by the clock of the day as that one is set now.
    ///
    /// C: `ktime_mono_to_real()`
    pub fn as_unix_nanos(self) -> i64 {
        // SAFETY: The function has no preconditions but that the offset is one that there is.
        unsafe { bindings::ktime_mono_to_any(self.0, bindings::tk_offsets_TK_OFFS_REAL) }
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_timestamp)]
mod tests {
    use super::*;
    use kernel::time::RealTime;

    #[test]
    fn timestamp_converts_to_realtime() {
        let before = RealTime::ktime_get();
        let timestamp = Timestamp::now();
        let after = RealTime::ktime_get();
        let nanos = timestamp.as_unix_nanos();
        assert!(before <= nanos && nanos <= after);
        assert_eq!(timestamp.as_unix_nanos(), nanos);
    }

    #[test]
    fn time_passes() {
        assert!(Timestamp::now().elapsed().as_nanos() >= 0);
    }
}
