// SPDX-License-Identifier: GPL-2.0

//! Nothing that a guest does stops the model: no panic, no endless work, no growth without bound.

mod common;

use common::Bench;
use common::Driver;
use kunpeng_accel::Revision;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Write(u16, u64, u8, u64),
    Read(u16, u64, u8),
    Mailbox(u16, u8, bool, u16, u64),
    Doorbell(u16, u16, u8, u16, u16),
    Garbage(u64, Vec<u8>),
    Wait(u64),
    Flr(u16),
    Vfs(u16),
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![
            fb::AEQ_INT_MASK,
            fb::EQ_INT_MASK,
            fb::IFC_INT_SOURCE_V,
            fb::IFC_INT_SET_V,
            fb::CACHE_WB_START,
            fb::MAILBOX,
            fb::MAILBOX + 8,
            fb::DOORBELL_SQ_CQ,
            fb::DOORBELL_EQ_AEQ,
            migration::V3_EQC,
            migration::V3_EQC + 24,
            migration::V3_AEQC,
            migration::V4_WINDOWS,
            pf::VFT_CFG_OP_ENABLE,
            pf::VFT_CFG_OP_WR,
            pf::VFT_CFG_TYPE,
            pf::VFT_CFG,
            pf::VFT_CFG_DATA_L,
            pf::VFT_CFG_DATA_H,
            pf::IFC_INT_SET_P,
            pf::IFC_INT_CFG,
            pf::MIG_REGION_SEL,
        ]),
        0_u64..0x1_0000,
        0x10_0000_u64..0x20_2000,
        any::<u64>(),
    ]
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![0x10_0000_u64..0x60_0000, any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let function = 0_u16..5;
    let size = || prop::sample::select(vec![1_u8, 2, 4, 8]);
    prop_oneof![
        4 => (function.clone(), offset(), size(), any::<u64>())
            .prop_map(|(function, offset, size, value)| Step::Write(function, offset, size, value)),
        1 => (function.clone(), offset(), size())
            .prop_map(|(function, offset, size)| Step::Read(function, offset, size)),
        4 => (function.clone(), 0_u8..16, any::<bool>(), 0_u16..6, address())
            .prop_map(|(function, code, read, queue, data)| Step::Mailbox(function, code, read, queue, data)),
        4 => (function.clone(), 0_u16..6, 0_u8..5, 0_u16..20, 0_u16..2)
            .prop_map(|(function, queue, command, index, priority)| Step::Doorbell(function, queue, command, index, priority)),
        2 => (0x10_0000_u64..0x18_0000, prop::collection::vec(any::<u8>(), 1..300))
            .prop_map(|(address, data)| Step::Garbage(address, data)),
        2 => (0_u64..100_000).prop_map(Step::Wait),
        1 => function.clone().prop_map(Step::Flr),
        1 => (0_u16..6).prop_map(Step::Vfs),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_sequence_of_accesses_stops_the_model(
        v4 in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut bench = Bench::with_revision(if v4 { Revision::V4 } else { Revision::V3 });
        let mut driver = Driver::start(&mut bench, 1, 16, 16);
        driver.add_queue(&mut bench, 0);
        driver.add_queue(&mut bench, 1);
        for step in steps {
            let (device, machine) = (&mut bench.device, &mut bench.machine);
            match step {
                Step::Write(function, offset, size, value) => device.write(machine, function, offset, size, value),
                Step::Read(function, offset, size) => {
                    device.read(machine, function, offset, size);
                }
                Step::Mailbox(function, code, read, queue, data) => bench.post(function, code, read, queue, data),
                Step::Doorbell(function, queue, command, index, priority) => {
                    bench.doorbell(function, queue, command, index, priority);
                }
                Step::Garbage(address, data) => machine.store(address, &data),
                Step::Wait(ns) => bench.advance(ns),
                Step::Flr(function) => device.flr(machine, function),
                Step::Vfs(vfs) => device.set_vfs(machine, vfs),
            }
        }
        bench.settle();
        prop_assert_eq!(bench.counter("requests_in_flight"), 0);
        prop_assert!(bench.device.violations().log().lines().count() <= 32);
    }
}
