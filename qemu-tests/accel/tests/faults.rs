// SPDX-License-Identifier: GPL-2.0

//! Faults put in on purpose, as a driver meets them, and their end.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use common::MAILBOX_NS;
use common::pause;
use common::share;
use kunpeng_accel::Opcode;
use kunpeng_accel::regs::function as fb;
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
