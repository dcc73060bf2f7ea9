// SPDX-License-Identifier: GPL-2.0

//! Durations in the form that trace events and debugfs show.

use kernel::time::Delta;

/// Converts `duration` to microseconds, rounding up and saturating.
pub(crate) fn micros(duration: Delta) -> u32 {
    u32::try_from(duration.as_micros_ceil()).unwrap_or(u32::MAX)
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_duration)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_rounded_up_and_bounded() {
        assert_eq!(micros(Delta::from_nanos(1500)), 2);
        assert_eq!(micros(Delta::from_secs(1 << 20)), u32::MAX);
    }
}
