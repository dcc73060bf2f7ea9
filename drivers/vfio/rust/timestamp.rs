// SPDX-License-Identifier: GPL-2.0

//! Timestamps: monotonic for measuring, convertible to wall-clock time for display; and durations in
//! the form that trace events and debugfs show.
//!
//! VFIO core's debugfs compiles this file as well.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use kernel::{
    bindings,
    fmt,
    prelude::*,
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

/// Displays the time in seconds since the Unix epoch with six decimals, as the realtime clock is set
/// now.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UnixTime(self.as_unix_nanos()).fmt(f)
    }
}

const NANOS_PER_SEC: i64 = 1_000_000_000;
const NANOS_PER_USEC: i64 = 1000;

/// A Unix time in nanoseconds, displayed in seconds with six decimals.
pub(crate) struct UnixTime(pub(crate) i64);

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 % NANOS_PER_SEC / NANOS_PER_USEC;
        f.write_fmt(fmt!("{}.{:06}", self.0 / NANOS_PER_SEC, micros))
    }
}

/// Converts `duration` to microseconds, rounding up and saturating.
pub fn micros(duration: Delta) -> u32 {
    u32::try_from(duration.as_micros_ceil()).unwrap_or(u32::MAX)
}
