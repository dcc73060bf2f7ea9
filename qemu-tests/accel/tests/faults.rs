// SPDX-License-Identifier: GPL-2.0

//! Injected faults as seen by a driver, and their removal.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use common::MAILBOX_NS;
use common::pause;
use common::share;
use kunpeng_accel::HPRE;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::SEC;
use kunpeng_accel::ZIP;
use kunpeng_accel::regs::VECTOR_EQ;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;

fn set(bench: &mut Bench, text: &str) {
    bench.device.set_fault(&mut bench.machine, text).unwrap();
}

#[test]
fn a_mailbox_that_times_out_finishes_when_the_fault_goes() {
    let mut bench = Bench::new();
    set(&mut bench, "fn1:mailbox-timeout");
    bench.post(1, Opcode::Vft.code(), true, 0, 0);
    bench.advance(5_000_000_000);
    assert_eq!(bench.mailbox_status(1), None);
    assert!(bench.mailbox(2, Opcode::Vft, true, 0, 0).is_ok());
    set(&mut bench, "");
    assert_eq!(bench.mailbox_status(1), Some(0));
    bench.assert_clean();
}

#[test]
fn a_mailbox_command_takes_its_time() {
    let mut bench = Bench::new();
    bench.post(1, Opcode::Vft.code(), true, 0, 0);
    bench.advance(MAILBOX_NS - 1);
    assert_eq!(bench.mailbox_status(1), None);
    bench.advance(1);
    assert_eq!(bench.mailbox_status(1), Some(0));
    bench.assert_clean();
}

#[test]
fn a_failed_pause_does_not_pause() {
    for fault in ["mailbox-status=5@pause-qm", "mailbox-timeout@pause-qm"] {
        let mut bench = Bench::new();
        let mut driver = Driver::with_queues(&mut bench, &[0]);
        set(&mut bench, fault);
        assert!(pause(&mut bench, 1).is_err());
        driver.submit_small(&mut bench, 0, 0);
        bench.settle();
        assert_eq!(bench.counter("requests_done"), 1);
        bench.assert_clean();
    }
}

#[test]
fn a_mailbox_fault_can_name_its_command() {
    let mut bench = Bench::new();
    set(&mut bench, "mailbox-status=3@cqc-bt");
    assert!(bench.mailbox(1, Opcode::SqcTable, false, 0, 0x1000).is_ok());
    assert_eq!(bench.mailbox(1, Opcode::CqcTable, false, 0, 0x2000), Err(3));
    set(&mut bench, "");
    assert_eq!(bench.mailbox(1, Opcode::CqcTable, true, 0, 0), Ok(0));
}

#[test]
fn a_write_back_can_stay_away() {
    let mut bench = Bench::new();
    Driver::with_queues(&mut bench, &[0]);
    set(&mut bench, "wb-never");
    bench.machine.forget();
    bench.write(1, fb::CACHE_WB_START, 1);
    bench.advance(LATENCY_NS);
    assert_eq!(bench.read(1, fb::CACHE_WB_DONE), 0);
    assert!(bench.machine.writes.is_empty());
    set(&mut bench, "");
    bench.write(1, fb::CACHE_WB_START, 1);
    assert_eq!(bench.read(1, fb::CACHE_WB_DONE), 1);
    assert_eq!(bench.machine.writes.len(), 2);
}

#[test]
fn a_vf_can_be_busy_and_the_device_abnormal() {
    let mut bench = Bench::new();
    set(&mut bench, "fn2:vf-busy; abnormal=0x40");
    assert_eq!(bench.read(2, fb::IFC_INT_STATUS), 1);
    assert_eq!(bench.read(1, fb::IFC_INT_STATUS), 0);
    assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0x40);
    set(&mut bench, "");
    assert_eq!(bench.read(2, fb::IFC_INT_STATUS), 0);
    assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0);
}

#[test]
fn a_function_table_can_be_stuck() {
    let mut bench = Bench::new();
    set(&mut bench, "vft-never");
    bench.write_vft(0, 1, share(0, 1));
    assert_eq!(bench.read(0, pf::VFT_CFG_RDY), 0);
    set(&mut bench, "");
    assert_eq!(bench.read_vft(0, 1), share(8, 4));
    bench.assert_clean();
}

#[test]
fn a_refused_text_leaves_the_faults_as_they_are() {
    let mut bench = Bench::new();
    set(&mut bench, "vf-busy");
    assert!(
        bench
            .device
            .set_fault(&mut bench.machine, "vf-lazy")
            .is_err()
    );
    assert_eq!(bench.read(1, fb::IFC_INT_STATUS), 1);
}

#[test]
fn a_stuck_register_keeps_what_it_has_until_the_fault_goes() {
    let mut bench = Bench::new();
    bench.write(1, fb::PAGE_SIZE, 2);
    set(&mut bench, "fn1:stuck@page-size");
    for value in [0, 1] {
        bench.write(1, fb::PAGE_SIZE, value);
        bench.write(2, fb::PAGE_SIZE, value);
        assert_eq!(bench.read(1, fb::PAGE_SIZE), 2);
        assert_eq!(bench.read(2, fb::PAGE_SIZE), value);
    }
    bench.device.flr(&mut bench.machine, 1);
    assert_eq!(bench.read(1, fb::PAGE_SIZE), 2);
    // It is stuck at its current value, whatever other faults are injected.
    set(&mut bench, "fn1:stuck@page-size; fn1:vf-busy");
    assert_eq!(bench.read(1, fb::PAGE_SIZE), 2);
    set(&mut bench, "");
    bench.write(1, fb::PAGE_SIZE, 1);
    assert_eq!(bench.read(1, fb::PAGE_SIZE), 1);
    bench.assert_clean();
}

#[test]
fn a_register_can_be_stuck_at_a_value() {
    let mut bench = Bench::new();
    set(
        &mut bench,
        "fn1:stuck=0@cache-wb-done; fn1:stuck=1@ifc-int-set",
    );
    bench.write(1, fb::CACHE_WB_START, 1);
    assert_eq!(bench.read(1, fb::CACHE_WB_DONE), 0);
    assert_eq!(bench.read(2, fb::CACHE_WB_DONE), 1);
    assert_eq!(bench.read(1, fb::IFC_INT_SET_V), 1);
    // The visible bit was not set by a notification, and a notification does not reach the PF.
    bench.write(1, fb::IFC_INT_SET_V, 1);
    assert_eq!(bench.read(0, pf::IFC_INT_SOURCE_P), 0);
    set(&mut bench, "");
    assert_eq!(bench.read(1, fb::CACHE_WB_DONE), 1);
    assert_eq!(bench.read(1, fb::IFC_INT_SET_V), 0);
    bench.assert_clean();
}

#[test]
fn the_device_goes_by_what_a_mask_is_stuck_at() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 16, 16);
    driver.add_queue(&mut bench, 0);
    bench.machine.forget();
    set(&mut bench, "fn1:stuck=1@eq-int-mask");
    bench.write(1, fb::EQ_INT_MASK, 0);
    let entry = driver.small_request(&mut bench, 0);
    driver.submit(&mut bench, 0, &entry);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 1);
    assert!(bench.machine.interrupts.is_empty());
    set(&mut bench, "");
    bench.write(1, fb::EQ_INT_MASK, 0);
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_EQ)]);
    bench.assert_clean();
}

#[test]
fn a_reset_does_not_free_what_is_stuck() {
    let mut bench = Bench::new();
    set(&mut bench, "fn1:stuck=0@eq-int-mask; stuck=0@vf-state");
    bench.device.flr(&mut bench.machine, 1);
    bench.device.flr(&mut bench.machine, 0);
    assert_eq!(bench.read(1, fb::EQ_INT_MASK), 0);
    assert_eq!(bench.read(2, fb::EQ_INT_MASK), 1);
    assert_eq!(bench.read(2, fb::VF_STATE), 0);
    // A register that stores a value still has the stuck value after the fault is removed.
    set(&mut bench, "");
    assert_eq!(bench.read(1, fb::EQ_INT_MASK), 0);
    bench.assert_clean();
}

#[test]
fn registers_of_the_pf_can_be_stuck() {
    for (profile, core) in [(&ZIP, 0x30_10ac), (&SEC, 0x30_1008), (&HPRE, 0x30_1800)] {
        let mut bench = Bench::with_profile(profile, Revision::V3);
        set(
            &mut bench,
            "stuck=4@core-int-status; stuck=0x20@abnormal-int-status",
        );
        bench.write(0, pf::ABNORMAL_INT_SOURCE, u32::MAX);
        assert_eq!(bench.read(0, core), 4);
        assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0x20);
        set(&mut bench, "");
        assert_eq!(bench.read(0, core), 0);
        assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0);
        bench.assert_clean();
    }
}

#[test]
fn the_way_to_a_context_can_be_stuck_in_both_generations() {
    for (revision, offset) in [
        (Revision::V3, migration::V3_EQC + 4),
        (
            Revision::V4,
            migration::V4_WINDOWS + migration::V4_WINDOW_BYTES + migration::V4_EQC + 4,
        ),
    ] {
        let mut bench = Bench::with_revision(revision);
        let function = if revision == Revision::V3 { 1 } else { 0 };
        bench.write(0, pf::MIG_REGION_SEL, 1);
        set(&mut bench, "fn1:stuck=0x1234@eqc-dw1");
        bench.write(function, offset, 0x5678);
        assert_eq!(bench.read(function, offset), 0x1234, "{revision:?}");
        set(&mut bench, "");
        assert_eq!(bench.read(function, offset), 0, "{revision:?}");
    }
}
