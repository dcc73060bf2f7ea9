// SPDX-License-Identifier: GPL-2.0

//! Durations and moments for people to read.

use std::time::{Duration, UNIX_EPOCH};

/// `61 us`, `1.4 ms` or `2.0 s`.
pub fn text(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// The date and time, in UTC, of microseconds since 1970.
pub fn moment(micros: u64) -> String {
    // The year 9999 is the last one that can be written.
    let last = 253_402_300_799;
    let since = Duration::from_micros(micros).min(Duration::from_secs(last));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_duration() {
        for (micros, expected) in [(61, "61 us"), (1_449, "1.4 ms"), (2_000_000, "2.0 s")] {
            assert_eq!(text(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn every_moment_can_be_written() {
        assert_eq!(moment(1_763_764_942_120_355), "2025-11-21T22:42:22.120Z");
        assert_eq!(moment(u64::MAX), "9999-12-31T23:59:59.000Z");
    }
}
