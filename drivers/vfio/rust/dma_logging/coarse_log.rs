// SPDX-License-Identifier: GPL-2.0

//! The log of a device that does not know which pages it writes.

use super::IovaRange;
use kernel::prelude::*;

/// How many separate ranges are remembered as reported. More are reported again, which costs time
/// but loses nothing. A VMM reports a few dozen ranges of memory.
const CLEAN_MAX: usize = 256;

/// Logs DMA of a device of which only two things are known: where it may write, and whether it has
/// run. While it runs, each page of the logged ranges counts as written. A page that was reported
/// while the device stood still counts as unwritten until the device runs again.
#[derive(Default)]
pub(crate) struct CoarseLog {
    started: Option<Started>,
}

/// The log of a device for which logging was started.
struct Started {
    /// The logged ranges, in ascending order.
    logged: KVec<IovaRange>,
    /// What was reported since the device stands still, in any order.
    clean: KVec<IovaRange>,
}

/// Returns where the first gap in `range` begins that `ranges` do not cover, or `None` if they
/// cover all of it.
fn first_gap(ranges: &[IovaRange], range: IovaRange) -> Option<u64> {
    let mut at = range.start();
    while let Some(covering) = ranges.iter().find(|range| range.contains(at)) {
        if covering.last() >= range.last() {
            return None;
        }
        at = covering.last() + 1;
    }
    Some(at)
}

impl CoarseLog {
    /// Starts logging DMA to `ranges`. All of their pages count as written.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if logging has been started already.
    pub(crate) fn start(&mut self, ranges: KVec<IovaRange>) -> Result {
        if self.started.is_some() {
            return Err(EINVAL);
        }
        self.started = Some(Started {
            logged: ranges,
            clean: KVec::new(),
        });
        Ok(())
    }

    /// Stops logging, if it has been started.
    pub(crate) fn stop(&mut self) {
        self.started = None;
    }

    /// Called when the device may have written to memory.
    #[inline]
    pub(crate) fn device_ran(&mut self) {
        if let Some(started) = &mut self.started {
            started.clean.clear();
        }
    }

    /// Checks that DMA to all of `range` is logged.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if logging has not been started, or not for all of `range`.
    pub(crate) fn check(&self, range: IovaRange) -> Result {
        let started = self.started.as_ref().ok_or(EINVAL)?;
        match first_gap(&started.logged, range) {
            None => Ok(()),
            Some(_) => Err(EINVAL),
        }
    }

    /// Takes the first part of `range` that the device may have written. `stands_still` says
    /// whether the device does not write to memory at present.
    ///
    /// Returns `None` if there is no such part, or if logging was stopped.
    pub(crate) fn take_dirty(&mut self, range: IovaRange, stands_still: bool) -> Option<IovaRange> {
        let started = self.started.as_mut()?;
        if !stands_still {
            started.clean.clear();
            return Some(range);
        }
        let start = first_gap(&started.clean, range)?;
        let next_clean = started.clean.iter().map(|clean| clean.start());
        let last = next_clean
            .filter(|&clean| clean > start)
            .map(|clean| clean - 1)
            .fold(range.last(), u64::min);
        let dirty = IovaRange::new(start, last).ok()?;
        started.set_clean(dirty);
        Some(dirty)
    }
}

impl Started {
    /// Remembers that `range` was reported while the device stands still, if there is room.
    fn set_clean(&mut self, range: IovaRange) {
        let preceding = |clean: &&mut IovaRange| clean.last().checked_add(1) == Some(range.start());
        if let Some(clean) = self.clean.iter_mut().find(preceding) {
            if let Ok(both) = IovaRange::new(clean.start(), range.last()) {
                *clean = both;
            }
        } else if self.clean.len() < CLEAN_MAX {
            // Without memory it is reported again.
            let _ = self.clean.push(range, GFP_KERNEL);
        }
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_coarse_log)]
mod tests {
    use super::*;

    fn range(start: u64, last: u64) -> IovaRange {
        IovaRange::new(start, last).unwrap_or(IovaRange { start: 0, last: 0 })
    }

    /// Starts a log of two neighbouring ranges and one apart from them.
    fn log() -> Result<CoarseLog> {
        let mut ranges = KVec::new();
        for logged in [range(0, 99), range(100, 199), range(1000, 1999)] {
            ranges.push(logged, GFP_KERNEL)?;
        }
        let mut log = CoarseLog::default();
        log.start(ranges)?;
        Ok(log)
    }

    /// Checks which parts of `range` are reported, in order.
    fn reports(log: &mut CoarseLog, range: IovaRange, still: bool, expected: &[IovaRange]) {
        let mut rest = Some(range);
        let mut expected = expected.iter().copied();
        while let Some(range) = rest {
            let dirty = log.take_dirty(range, still);
            assert_eq!(dirty, expected.next());
            rest = dirty.and_then(|dirty| range.after(dirty));
        }
        assert_eq!(expected.next(), None);
    }

    #[test]
    fn starts_once_until_it_is_stopped() -> Result {
        let mut log = log()?;
        assert_eq!(log.start(KVec::new()), Err(EINVAL));
        log.stop();
        log.stop();
        assert_eq!(log.start(KVec::new()), Ok(()));
        Ok(())
    }

    #[test]
    fn only_logged_ranges_can_be_reported() -> Result {
        let mut log = log()?;
        assert_eq!(log.check(range(0, 199)), Ok(()));
        assert_eq!(log.check(range(50, 150)), Ok(()));
        assert_eq!(log.check(range(1999, 1999)), Ok(()));
        for unlogged in [
            range(0, 200),
            range(500, 600),
            range(999, 1000),
            range(1000, u64::MAX),
        ] {
            assert_eq!(log.check(unlogged), Err(EINVAL));
        }
        log.stop();
        assert_eq!(log.check(range(0, 0)), Err(EINVAL));
        assert_eq!(log.take_dirty(range(0, 0), false), None);
        Ok(())
    }

    #[test]
    fn a_running_device_may_have_written_everything() -> Result {
        let mut log = log()?;
        for _ in 0..2 {
            reports(&mut log, range(0, 199), false, &[range(0, 199)]);
        }
        Ok(())
    }

    #[test]
    fn a_still_device_is_reported_once() -> Result {
        let mut log = log()?;
        reports(&mut log, range(50, 99), true, &[range(50, 99)]);
        reports(
            &mut log,
            range(0, 199),
            true,
            &[range(0, 49), range(100, 199)],
        );
        reports(&mut log, range(0, 199), true, &[]);
        reports(&mut log, range(1000, 1999), true, &[range(1000, 1999)]);
        Ok(())
    }

    #[test]
    fn a_device_that_ran_in_between_is_reported_again() -> Result {
        let mut log = log()?;
        reports(&mut log, range(0, 199), true, &[range(0, 199)]);
        log.device_ran();
        reports(&mut log, range(0, 199), true, &[range(0, 199)]);
        reports(&mut log, range(0, 99), false, &[range(0, 99)]);
        reports(&mut log, range(0, 199), true, &[range(0, 199)]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_remembered_is_reported_again() -> Result {
        let mut log = CoarseLog::default();
        let mut all = KVec::new();
        all.push(range(0, u64::MAX), GFP_KERNEL)?;
        log.start(all)?;
        // Every other address, so that no two can be remembered as one range.
        let addresses = (0..).step_by(2).take(CLEAN_MAX + 1).map(|at| range(at, at));
        for address in addresses.clone() {
            reports(&mut log, address, true, &[address]);
        }
        let again = addresses.filter(|&address| log.take_dirty(address, true).is_some());
        assert_eq!(again.count(), 1);
        Ok(())
    }

    #[test]
    fn the_last_address_has_no_successor() -> Result {
        let mut log = CoarseLog::default();
        let mut all = KVec::new();
        all.push(range(0, u64::MAX), GFP_KERNEL)?;
        log.start(all)?;
        reports(&mut log, range(5, u64::MAX), true, &[range(5, u64::MAX)]);
        reports(&mut log, range(0, u64::MAX), true, &[range(0, 4)]);
        Ok(())
    }
}
