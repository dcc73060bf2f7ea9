// SPDX-License-Identifier: GPL-2.0

//! Durations, as trace events and debugfs show them.

use kernel::time::Delta;

/// Microseconds of `duration`, rounded up and bounded.
pub(crate) fn micros(duration: Delta) -> u32 {
    u32::try_from(duration.as_micros_ceil()).unwrap_or(u32::MAX)
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_duration)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_rounded_up_and_bounded() {
        assert_eq!(micros(Delta::from_nanos(1500)), 2);
        assert_eq!(micros(Delta::from_secs(1 << 20)), u32::MAX);
    }
}
