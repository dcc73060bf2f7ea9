// SPDX-License-Identifier: GPL-2.0

//! Unit tests of files that VFIO core's debugfs compiles as well. They are not in these files, because
//! the suites of all loaded modules need different names.

#[kernel::prelude::kunit_tests(rust_vfio_recent_ring)]
mod recent_ring {
    use crate::recent_ring::RecentRing;

    #[test]
    fn only_the_last_are_kept() {
        let mut last = RecentRing::<u32, 4>::EMPTY;
        assert_eq!(last.iter().count(), 0);
        last.push(1);
        assert!(last.iter().eq([1].iter()));
        for n in 2..=6 {
            last.push(n);
        }
        assert!(last.iter().eq([3, 4, 5, 6].iter()));
        assert_eq!(last.newest_mut(), Some(&mut 6));
        last.clear();
        assert_eq!(last.newest_mut(), None);
        last.push(7);
        assert!(last.iter().eq([7].iter()));
    }

    #[test]
    fn an_item_has_its_number_until_it_is_overwritten() {
        let mut last = RecentRing::<u32, 4>::EMPTY;
        assert_eq!(last.numbers(), (1, 0));
        for n in 1..=6 {
            assert_eq!(last.push(n), u64::from(n));
        }
        assert_eq!(last.numbers(), (3, 6));
        for number in [0, 1, 2, 7, u64::MAX] {
            assert_eq!(last.get_mut(number), None);
        }
        for n in 3..=6 {
            assert_eq!(last.get_mut(u64::from(n)), Some(&mut n.clone()));
        }
        last.clear();
        assert_eq!(last.get_mut(6), None);
        assert_eq!(last.push(7), 1);
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_timestamp)]
mod timestamp {
    use crate::timestamp::{
        micros,
        Timestamp,
        UnixTime, //
    };
    use kernel::{
        prelude::*,
        str::CString,
        time::{
            ClockSource,
            Delta,
            RealTime, //
        }, //
    };

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

    #[test]
    fn time_has_six_decimals() -> Result {
        let text = CString::try_from_fmt(fmt!("{}", UnixTime(1_700_000_000_000_042_999)))?;
        assert_eq!(text.to_bytes(), b"1700000000.000042");
        Ok(())
    }

    #[test]
    fn duration_is_rounded_up_and_bounded() {
        assert_eq!(micros(Delta::from_nanos(1500)), 2);
        assert_eq!(micros(Delta::from_secs(1 << 20)), u32::MAX);
    }
}
