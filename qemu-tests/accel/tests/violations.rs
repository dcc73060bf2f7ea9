// SPDX-License-Identifier: GPL-2.0

//! Each kind of violation can be provoked separately, and similar but valid accesses are not counted.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use common::pause;
use common::request;
use common::restart;
use kunpeng_accel::Opcode;
use kunpeng_accel::Violation;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;

/// Asserts that there are exactly `count` violations, all of this kind.
#[track_caller]
fn assert_only(bench: &Bench, kind: Violation, count: u64) {
    assert_eq!(
        bench.violations(kind),
        count,
        "{}",
        bench.device.violations().log()
    );
    assert_eq!(
        bench.device.violations().total(),
        count,
        "{}",
        bench.device.violations().log()
    );
}

#[test]
fn every_kind_is_told_even_if_zero_and_can_be_zeroed() {
    let mut bench = Bench::new();
    bench.read(1, 0x9000);
    let json: serde_json::Value =
        serde_json::from_str(&bench.device.violations().to_json()).unwrap();
    assert_eq!(json.as_object().unwrap().len(), Violation::ALL.len());
    for kind in Violation::ALL {
        let expected = u64::from(kind == Violation::OutsideWindow);
        assert_eq!(json[kind.name()], expected, "{}", kind.name());
    }
    assert!(bench.device.violations().log().contains("fn1"));
    bench.device.reset_violations();
    bench.assert_clean();
}

#[test]
fn migration_registers_of_a_running_function_are_not_written() {
    let mut bench = Bench::new();
    bench.write(1, migration::V3_EQC, 0);
    bench.assert_clean();
    Driver::with_queues(&mut bench, &[0]);
    bench.read(1, migration::V3_EQC);
    bench.assert_clean();

    bench.write(1, migration::V3_EQC, 0);
    bench.write(1, migration::V3_AEQC + 24, 15 | 1 << 16);
    assert_only(&bench, Violation::MigrationWriteWhileRunning, 2);

    pause(&mut bench, 1).unwrap();
    bench.write(1, migration::V3_EQC, 0);
    assert_only(&bench, Violation::MigrationWriteWhileRunning, 2);
    restart(&mut bench, 1);
    bench.write(1, migration::V3_EQC, 0);
    assert_only(&bench, Violation::MigrationWriteWhileRunning, 3);
    bench.device.flr(&mut bench.machine, 1);
    bench.write(1, migration::V3_EQC, 0);
    assert_only(&bench, Violation::MigrationWriteWhileRunning, 3);
}

#[test]
fn a_function_that_is_being_paused_still_runs() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    driver.submit_small(&mut bench, 0, 0);
    bench.post(1, Opcode::Pause.code(), false, 0, 0);
    bench.write(1, migration::V3_EQC, 0);
    assert_only(&bench, Violation::MigrationWriteWhileRunning, 1);
}

#[test]
fn a_mailbox_is_not_written_while_busy() {
    let mut bench = Bench::new();
    bench.post(1, Opcode::Vft.code(), true, 0, 0);
    bench.post(2, Opcode::Vft.code(), true, 0, 0);
    bench.assert_clean();
    bench.post(1, Opcode::SqcTable.code(), true, 0, 0);
    assert!(bench.violations(Violation::MailboxWhileBusy) > 0);
    bench.advance(LATENCY_NS);
    // The first command was executed, the second one was not.
    assert_eq!(
        bench.read(1, fb::MAILBOX) & 0xff,
        u32::from(Opcode::Vft.code())
    );
    assert_eq!(bench.read(1, fb::MAILBOX + 8) >> 12 & 1, 1, "a valid entry");
}

#[test]
fn two_halves_of_different_commands_collide() {
    let mut bench = Bench::new();
    bench.write64(1, fb::MAILBOX, 0x2006);
    bench.assert_clean();
    bench.write64(1, fb::MAILBOX, 0x2004);
    assert!(bench.violations(Violation::MailboxWhileBusy) > 0);
}

#[test]
fn unknown_and_misdirected_commands_fail() {
    let mut bench = Bench::new();
    bench.post(1, 0x3f, false, 0, 0);
    bench.settle();
    assert_ne!(bench.mailbox_status(1), Some(0));
    assert_only(&bench, Violation::MailboxCommand, 1);
    for (opcode, read) in [
        (Opcode::Pause, true),
        (Opcode::Vft, false),
        (Opcode::MessageFetch, false),
        (Opcode::StopQueue, true),
    ] {
        assert!(bench.mailbox(1, opcode, read, 0, 0).is_err());
    }
    assert_only(&bench, Violation::MailboxCommand, 5);
}

#[test]
fn numbers_beyond_the_share_fail() {
    let mut bench = Bench::new();
    let driver = Driver::with_queues(&mut bench, &[0]);
    bench.machine.store(driver.scratch(), &driver.sqc(4, 0));
    assert!(
        bench
            .mailbox(1, Opcode::Sqc, false, 4, driver.scratch())
            .is_err()
    );
    assert_only(&bench, Violation::Number, 1);
    bench.doorbell(1, 4, 0, 1, 0);
    assert_only(&bench, Violation::Number, 2);
    bench.doorbell(1, 0, 0, 16, 0);
    assert_only(&bench, Violation::Number, 3);
    bench.doorbell(1, 0, 1, 16, 0);
    assert_only(&bench, Violation::Number, 4);
    bench.doorbell(1, 0, 2, 16, 0);
    assert_only(&bench, Violation::Number, 5);
    bench.doorbell(1, 0, 4, 0, 0);
    assert_only(&bench, Violation::Number, 6);
    assert!(bench.mailbox(0, Opcode::MessageFetch, true, 9, 0).is_err());
    assert_only(&bench, Violation::Number, 7);
    bench.write_vft(0, 3, common::share(30, 4));
    assert_only(&bench, Violation::Number, 8);
    bench.write_vft(0, 60, common::share(0, 4));
    assert_only(&bench, Violation::Number, 9);
    // A queue without context is not a wrong number: user space may ring a doorbell after a reset.
    bench.doorbell(1, 1, 0, 1, 0);
    assert_only(&bench, Violation::Number, 9);
}

#[test]
fn doorbells_ask_nothing_of_a_paused_function() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    for slot in 0..2 {
        driver.submit_small(&mut bench, 0, slot);
    }
    bench.settle();
    pause(&mut bench, 1).unwrap();
    bench.machine.forget();

    // Acknowledging completions does not trigger an access; requesting an event for the remaining ones does.
    bench.doorbell(1, 0, 1, 1, 0);
    bench.doorbell(1, 0, 2, 1, 0);
    bench.assert_clean();
    bench.doorbell(1, 0, 1, 1, 1);
    assert_only(&bench, Violation::DmaAfterPause, 1);
    bench.settle();
    assert!(bench.machine.writes.is_empty());
    restart(&mut bench, 1);
    driver.poll_events(&mut bench);
    assert_eq!(driver.events, [0, 0], "the restart made up for it");

    // Submitting a request does as well.
    pause(&mut bench, 1).unwrap();
    bench.machine.forget();
    driver.submit_small(&mut bench, 0, 2);
    assert_only(&bench, Violation::DmaAfterPause, 2);
    bench.settle();
    assert!(bench.machine.writes.is_empty());
    assert!(bench.machine.reads.is_empty());
    restart(&mut bench, 1);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 3);
}

#[test]
fn only_registers_are_accessed() {
    let mut bench = Bench::new();
    let outside = [
        (1, 0x801c),
        (1, 0x803c),
        (1, 0xfffc),
        (0, 0x8000),
        (0, 0x18_0000),
    ];
    for (times, (function, offset)) in (1..).zip(outside) {
        assert_eq!(bench.read(function, offset), 0);
        assert_only(&bench, Violation::OutsideWindow, 2 * times - 1);
        bench.write(function, offset, 1);
        assert_only(&bench, Violation::OutsideWindow, 2 * times);
    }
}

#[test]
fn registers_have_their_width() {
    let mut bench = Bench::new();
    for size in [1, 2] {
        bench
            .device
            .write(&mut bench.machine, 1, fb::PAGE_SIZE, size, 1);
    }
    assert_only(&bench, Violation::AccessWidth, 2);
    assert_eq!(bench.read(1, fb::PAGE_SIZE), 0, "dropped");
    bench.write64(1, fb::VF_STATE, 0);
    assert_only(&bench, Violation::AccessWidth, 3);
    bench.write64(0, pf::IFC_INT_SOURCE_P, u64::MAX);
    assert_only(&bench, Violation::AccessWidth, 3);
}

#[test]
fn transactions_on_the_function_table_do_not_overlap() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.read_vft(0, 1);
        bench.write_vft(0, 2, common::share(12, 4));
    }
    bench.assert_clean();

    // Two agents prepare at the same time.
    bench.write(0, pf::VFT_CFG_OP_WR, 1);
    bench.write(0, pf::VFT_CFG_TYPE, 0);
    bench.write(0, pf::VFT_CFG_OP_WR, 1);
    assert_only(&bench, Violation::VftInterleaved, 1);
    bench.write(0, pf::VFT_CFG_TYPE, 0);
    bench.write(0, pf::VFT_CFG, 2);
    bench.write(0, pf::VFT_CFG_OP_ENABLE, 1);
    bench.read(0, pf::VFT_CFG_DATA_L);
    bench.read(0, pf::VFT_CFG_DATA_H);
    assert_only(&bench, Violation::VftInterleaved, 1);

    // Started with a register missing.
    bench.write(0, pf::VFT_CFG_OP_WR, 1);
    bench.write(0, pf::VFT_CFG, 1);
    bench.write(0, pf::VFT_CFG_OP_ENABLE, 1);
    assert_only(&bench, Violation::VftInterleaved, 2);
    bench.read(0, pf::VFT_CFG_DATA_L);
    bench.read(0, pf::VFT_CFG_DATA_H);

    // The next one begins before the result has been read.
    bench.write(0, pf::VFT_CFG_OP_WR, 1);
    bench.write(0, pf::VFT_CFG_TYPE, 0);
    bench.write(0, pf::VFT_CFG, 1);
    bench.write(0, pf::VFT_CFG_OP_ENABLE, 1);
    bench.read(0, pf::VFT_CFG_DATA_L);
    bench.write(0, pf::VFT_CFG_OP_WR, 1);
    assert_only(&bench, Violation::VftInterleaved, 3);
}

#[test]
fn refused_memory_is_counted_and_told_to_the_driver() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    // Data of a request: the request fails, the queue continues.
    let bad = request(0x10, 16, driver.output(0), 64, 0);
    driver.submit(&mut bench, 0, &bad);
    driver.submit_small(&mut bench, 0, 1);
    bench.settle();
    assert_only(&bench, Violation::DmaFault, 1);
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, [0, 1]);
    let status = |index: u64| {
        bench
            .machine
            .load_u32(driver.queues[0].sq + 128 * index + 12)
    };
    assert_ne!(status(0) & 0xff, 0);
    assert_eq!(status(1) & 0xff, 0);

    // Reading a context: the command fails.
    assert!(bench.mailbox(1, Opcode::Sqc, false, 1, 0).is_err());
    assert_only(&bench, Violation::DmaFault, 2);

    // The ring: the queue fails, and an asynchronous event reports it.
    let mut sqc = driver.sqc(1, 0);
    sqc[4..12].copy_from_slice(&0x10_u64.to_le_bytes());
    bench.machine.store(driver.scratch(), &sqc);
    bench
        .mailbox(1, Opcode::Sqc, false, 1, driver.scratch())
        .unwrap();
    bench.machine.store(driver.scratch(), &driver.cqc(1));
    bench
        .mailbox(1, Opcode::Cqc, false, 1, driver.scratch())
        .unwrap();
    bench.doorbell(1, 1, 0, 1, 0);
    assert_only(&bench, Violation::DmaFault, 3);
    assert_eq!(driver.asynchronous_event(&bench, 0), Some((2, 1)));
    bench.doorbell(1, 1, 0, 2, 0);
    assert_only(&bench, Violation::DmaFault, 3);
    assert_eq!(driver.asynchronous_event(&bench, 1), None, "it has failed");
}
