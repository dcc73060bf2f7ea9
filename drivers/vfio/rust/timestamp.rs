// SPDX-License-Identifier: GPL-2.0

//! Timestamps: monotonic for measuring, convertible to wall-clock time for display.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use kernel::{
    bindings,
    time::{
        ClockSource,
        Delta,
        Monotonic, //
    }, //
};

/// A reading of [`Monotonic`]. Unlike [`kernel::time::Instant`], it can be converted to wall-clock
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(bindings::ktime_t);

impl Timestamp {
    /// Returns the current time.
    #[inline]
    pub fn now() -> Self {
        Self(Monotonic::ktime_get())
    }

    /// Returns the time that has elapsed since this timestamp.
    #[inline]
    pub fn elapsed(self) -> Delta {
        Delta::from_nanos(Monotonic::ktime_get() - self.0)
    }

    /// Returns this timestamp as nanoseconds since the Unix epoch, using the current realtime
    /// offset.
    ///
    /// C: `ktime_mono_to_real()`
    pub fn as_unix_nanos(self) -> i64 {
        // SAFETY: The function requires only that the offset exists, and `TK_OFFS_REAL` does.
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
