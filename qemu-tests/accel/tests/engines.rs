// SPDX-License-Identifier: GPL-2.0

//! Differences between accelerators, as probed by a PF driver.

mod common;

use common::Bench;
use common::Driver;
use kunpeng_accel::HPRE;
use kunpeng_accel::Opcode;
use kunpeng_accel::Profile;
use kunpeng_accel::Revision;
use kunpeng_accel::SEC;
use kunpeng_accel::Violation;
use kunpeng_accel::ZIP;

const DRV_ALG_BITMAP: u64 = 0x3144;

fn bench(profile: &'static Profile) -> Bench {
    Bench::with_profile(profile, Revision::V3)
}

#[test]
fn drivers_are_offered_what_is_modelled() {
    for (profile, low, high) in [
        (&ZIP, 0x130, 0x130),
        (&SEC, 0x186_70cf, 0x3800),
        (&HPRE, 0x7, 0x7),
    ] {
        let mut bench = bench(profile);
        for function in 0..3 {
            assert_eq!(bench.read(function, DRV_ALG_BITMAP), low);
            assert_eq!(bench.read(function, DRV_ALG_BITMAP + 4), high);
        }
        bench.assert_clean();
    }
}

#[test]
fn engines_say_that_they_are_initialized() {
    for (profile, offset, value) in [
        (&SEC, 0x30_1104, 1),
        (&HPRE, 0x30_1a00, 1),
        (&HPRE, 0x30_2080, 0x3ff),
    ] {
        let mut bench = bench(profile);
        bench.write(0, offset, 0);
        assert_eq!(bench.read(0, offset), value, "{offset:#x}");
        bench.assert_clean();
    }
}

/// The error registers of one engine are plain registers of another one.
#[test]
fn errors_are_where_the_engine_has_them() {
    for (profile, source, mask, set, status) in [
        (&ZIP, 0x30_10a0, 0x30_10a4, 0x30_10a8, 0x30_10ac),
        (&HPRE, 0x30_1600, 0x30_1400, 0x30_1500, 0x30_1800),
    ] {
        let mut bench = bench(profile);
        bench.write(0, mask, 0x4);
        bench.write(0, set, 0x4);
        assert_eq!(bench.machine.interrupts, []);
        bench.write(0, set, 0x2);
        assert_eq!(bench.machine.interrupts, [(0, 3)]);
        bench.write(0, status, 0);
        assert_eq!(bench.read(0, status), 0x6);
        bench.write(0, source, 0x2);
        assert_eq!(bench.read(0, status), 0x4);
        bench.assert_clean();
    }
    let mut bench = bench(&SEC);
    bench.write(0, 0x30_10a8, 0x2);
    assert_eq!(bench.read(0, 0x30_10a8), 0x2);
    assert_eq!(bench.read(0, 0x30_1008), 0);
    assert_eq!(bench.machine.interrupts, []);
}

#[test]
fn only_zip_has_the_data_analytics_engine() {
    for (profile, violations) in [(&ZIP, 0), (&SEC, 1), (&HPRE, 1)] {
        let mut bench = bench(profile);
        bench.read(0, 0x33_1040);
        assert_eq!(bench.violations(Violation::OutsideWindow), violations);
    }
}

/// An entry has 64 bytes with HPRE and 128 bytes with the other engines.
#[test]
fn a_queue_with_entries_of_another_length_is_refused() {
    for (profile, other) in [(&ZIP, 6), (&SEC, 8), (&HPRE, 7)] {
        let mut bench = bench(profile);
        let driver = Driver::start(&mut bench, 1, 16, 16);
        let mut context = driver.sqc(0, 0);
        context[13] = context[13] & 0xf | other << 4;
        bench.machine.store(driver.scratch(), &context);
        let outcome = bench.mailbox(1, Opcode::Sqc, false, 0, driver.scratch());
        assert!(outcome.is_err());
        assert_eq!(bench.violations(Violation::Number), 1);
    }
}
