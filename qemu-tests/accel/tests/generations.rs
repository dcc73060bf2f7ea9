// SPDX-License-Identifier: GPL-2.0

//! Features that hardware V2 lacks and that V5 adds.

mod common;

use common::Bench;
use common::Driver;
use kunpeng_accel::Config;
use kunpeng_accel::ConfigError;
use kunpeng_accel::Device;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::UnknownRevision;
use kunpeng_accel::Violation;
use kunpeng_accel::ZIP;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;

#[test]
fn generations_are_known_by_their_pci_revision() {
    for (id, revision) in [
        (0x21, Revision::V2),
        (0x30, Revision::V3),
        (0x50, Revision::V4),
        (0x51, Revision::V5),
    ] {
        assert_eq!(Revision::from_pci(id), Ok(revision));
    }
    assert_eq!(Revision::from_pci(0x20), Err(UnknownRevision(0x20)));
}

#[test]
fn v2_has_1024_queues_as_its_driver_takes_for_granted() {
    let config = |total_qps| Config {
        profile: &ZIP,
        revision: Revision::V2,
        total_qps,
        total_vfs: 1,
        latency_ns: 0,
        mailbox_ns: 0,
    };
    assert!(Device::new(config(1024)).is_ok());
    assert_eq!(
        Device::new(config(128)).err(),
        Some(ConfigError::TotalQpsOfV2(128))
    );
}

#[test]
fn v2_lacks_what_came_with_v3() {
    for (function, offset, dumped) in [
        (0, fb::CAPS, false),
        (1, fb::CAPS_END - 4, false),
        (1, fb::IFC_INT_SOURCE_V, true),
        (1, fb::QUE_ISO_CFG, true),
        (1, fb::VF_STATE, true),
        (0, pf::TOTAL_QP, true),
        (0, pf::IFC_INT_SOURCE_P + 4, true),
        (0, pf::MIG_REGION_SEL, true),
        (1, migration::V3_EQC, false),
        (0, migration::V4_WINDOWS, false),
    ] {
        let mut bench = Bench::with_revision(Revision::V2);
        assert_eq!(bench.read(function, offset), 0);
        let read = u64::from(!dumped);
        assert_eq!(
            bench.violations(Violation::OutsideWindow),
            read,
            "read of {offset:#x}"
        );
        bench.write(function, offset, 1);
        assert_eq!(
            bench.violations(Violation::OutsideWindow),
            read + 1,
            "write of {offset:#x}"
        );
        assert!(bench.read(function, offset) == 0);
    }
}

#[test]
fn v2_refuses_commands_that_came_with_v3() {
    for opcode in [
        Opcode::StopQueue,
        Opcode::Flush,
        Opcode::MessageSend,
        Opcode::Pause,
    ] {
        let mut bench = Bench::with_revision(Revision::V2);
        assert!(bench.mailbox(1, opcode, false, 0, 0).is_err());
        assert_eq!(bench.violations(Violation::MailboxCommand), 1);
    }
}

#[test]
fn v2_works() {
    let mut bench = Bench::with_revision(Revision::V2);
    // A rejected PAUSE does not stop anything.
    assert!(bench.mailbox(1, Opcode::Pause, false, 0, 0).is_err());
    bench.device.reset_violations();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 1);
    bench.assert_clean();
}

#[test]
fn v5_drops_doorbells_of_a_function_that_says_so() {
    let mut bench = Bench::with_revision(Revision::V5);
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    bench.write(1, fb::FUN_DB_DROP, 1);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 0);
    assert_eq!(bench.counter("doorbells_dropped"), 1);
    bench.write(1, fb::FUN_DB_DROP, 0);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 2);
    bench.assert_clean();
}

#[test]
fn v5_drops_doorbells_of_functions_that_the_pf_names() {
    let mut bench = Bench::with_revision(Revision::V5);
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    bench.write64(0, pf::DEV_DB_DROP, 1 << 1);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 0);
    bench.write64(0, pf::DEV_DB_DROP, 1 << 2 | 1 << 33);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 2);
    bench.write64(0, pf::FUNC_AXI_ERR_ST0, u64::MAX);
    assert_eq!(bench.read(0, pf::FUNC_AXI_ERR_ST0), 0);
    bench.assert_clean();
}

#[test]
fn doorbells_cannot_be_dropped_before_v5() {
    for (function, offset) in [
        (1, fb::FUN_DB_DROP),
        (0, pf::DEV_DB_DROP),
        (0, pf::FUNC_AXI_ERR_ST0),
    ] {
        let mut bench = Bench::with_revision(Revision::V4);
        bench.write(function, offset, 1);
        assert_eq!(bench.violations(Violation::OutsideWindow), 1);
    }
}
