// SPDX-License-Identifier: GPL-2.0

//! The migration windows of V4 in the PF's BAR.

mod common;

use common::Bench;
use common::Driver;
use common::pause;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::Violation;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;

const WINDOW_1: u64 = migration::V4_WINDOWS + migration::V4_WINDOW_BYTES;

fn bench() -> Bench {
    let mut bench = Bench::with_revision(Revision::V4);
    bench.write(0, pf::MIG_REGION_SEL, 1);
    bench
}

#[test]
fn a_window_shows_the_function_and_its_rings() {
    let mut bench = bench();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    assert_eq!(bench.read(0, WINDOW_1 + fb::VF_STATE), 0);
    assert_eq!(
        bench.read(0, WINDOW_1 + migration::V4_EQC + 4),
        driver.base as u32
    );
    pause(&mut bench, 1).unwrap();
    bench.write(0, WINDOW_1 + migration::V4_AEQC, 3);
    assert_eq!(bench.read(0, WINDOW_1 + migration::V4_AEQC), 3);
    bench.write64(0, WINDOW_1 + fb::DOORBELL_SQ_CQ, 1 << 48);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 1);
    bench.assert_clean();
}

#[test]
fn the_window_has_no_event_doorbell() {
    let mut bench = bench();
    bench.write(2, fb::AEQ_INT_MASK, 0);
    bench.write64(0, WINDOW_1 + fb::DOORBELL_EQ_AEQ, 2 << 12 | 1 << 32);
    assert_eq!(bench.violations(Violation::OutsideWindow), 1);
    assert_eq!(bench.read(2, fb::AEQ_INT_MASK), 0, "VF 2 is not touched");
}

#[test]
fn a_running_function_is_not_written_through_its_window() {
    let mut bench = bench();
    Driver::start(&mut bench, 1, 16, 16);
    bench.write(0, WINDOW_1 + migration::V4_EQC, 0);
    assert_eq!(bench.violations(Violation::MigrationWriteWhileRunning), 1);
}

#[test]
fn windows_are_closed_until_opened_and_for_vfs_that_are_not_there() {
    let mut bench = Bench::with_revision(Revision::V4);
    bench.read(0, WINDOW_1);
    assert_eq!(bench.violations(Violation::OutsideWindow), 1);
    bench.write(0, pf::MIG_REGION_SEL, 1);
    bench.read(0, WINDOW_1);
    assert_eq!(bench.violations(Violation::OutsideWindow), 1);
    bench.read(0, WINDOW_1 + 2 * migration::V4_WINDOW_BYTES);
    assert_eq!(bench.violations(Violation::OutsideWindow), 2);
    bench.read(1, migration::V3_EQC);
    assert_eq!(bench.violations(Violation::OutsideWindow), 3);
}

#[test]
fn the_mailbox_can_be_used_through_the_window() {
    let mut bench = bench();
    bench.write64(
        0,
        WINDOW_1 + fb::MAILBOX,
        u64::from(Opcode::Vft.code()) | 3 << 13,
    );
    bench.write64(0, WINDOW_1 + fb::MAILBOX + 8, 0);
    bench.settle();
    assert_eq!(bench.mailbox_status(1), Some(0));
    bench.assert_clean();
}
