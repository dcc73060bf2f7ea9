// SPDX-License-Identifier: GPL-2.0

//! No guest input stops the model: no panic, no endless loop, no unbounded growth.

mod common;

use common::Bench;
use common::Driver;
use kunpeng_accel::HPRE;
use kunpeng_accel::Profile;
use kunpeng_accel::Revision;
use kunpeng_accel::SEC;
use kunpeng_accel::Silicon;
use kunpeng_accel::ZIP;
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
    Entry(usize, Vec<u32>),
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

fn profile() -> impl Strategy<Value = &'static Profile> {
    prop::sample::select(vec![&ZIP, &SEC, &HPRE])
}

/// Generates the words of a submission queue entry.
fn words() -> impl Strategy<Value = Vec<u32>> {
    let word = prop_oneof![
        2 => Just(0),
        2 => any::<u32>(),
        2 => 0_u32..64,
        4 => 0x10_0000_u32..0x60_0000,
    ];
    prop::collection::vec(word, 32)
}

/// Generates requests that a SEC engine may accept as a descriptor of type 3.
fn descriptor() -> impl Strategy<Value = Vec<u32>> {
    let length = || prop_oneof![8 => 0_u32..600, 1 => any::<u32>()];
    let what = (
        0_u32..4,
        0_u32..20,
        0_u32..4,
        0_u32..9,
        1_u32..4,
        any::<bool>(),
    )
        .prop_map(|(direction, icv, key, mode, cipher, sequence)| {
            direction | icv << 4 | key << 13 | mode << 16 | cipher << 20 | u32::from(sequence) << 30
        });
    let hash = prop::sample::select(vec![0_u32, 0x10, 0x11, 0x15]);
    let auth = (0_u32..4, any::<u8>(), any::<u8>(), hash, 1_u32..3).prop_map(
        |(auth, tag, key, hash, counter)| {
            auth | u32::from(tag & 0x1f) << 4
                | u32::from(key & 0x3f) << 9
                | hash << 15
                | counter << 25
        },
    );
    let kinds = (0_u32..2, 0_u32..3, 0_u32..3)
        .prop_map(|(own, source, target)| 3 | own << 9 | source << 11 | target << 14);
    (words(), kinds, what, auth, length(), length(), length()).prop_map(
        |(mut words, kinds, what, auth, offsets, auth_length, text)| {
            words[0] = kinds;
            words[1] = what;
            words[14] = auth;
            words[16] = offsets;
            words[17] = auth_length;
            words[18] = text;
            // High halves of addresses.
            for index in [5, 7, 9, 13, 20, 22, 24] {
                words[index] = 0;
            }
            words
        },
    )
}

/// Generates requests that an HPRE engine may accept.
fn task() -> impl Strategy<Value = Vec<u32>> {
    let units = prop_oneof![8 => 0_u32..9, 1 => 0_u32..256];
    let algorithm = prop::sample::select(vec![0x0_u32, 0x1, 0x4, 0x5, 0xd, 0x10]);
    (words(), algorithm, units).prop_map(|(mut words, algorithm, units)| {
        words[0] = algorithm;
        words[1] = units;
        for index in [3, 5, 7] {
            words[index] = 0;
        }
        words
    })
}

fn entry() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![1 => words(), 3 => descriptor(), 2 => task()]
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
        3 => (0_usize..2, entry()).prop_map(|(queue, words)| Step::Entry(queue, words)),
        2 => (0_u64..100_000).prop_map(Step::Wait),
        1 => function.clone().prop_map(Step::Flr),
        1 => (0_u16..6).prop_map(Step::Vfs),
    ]
}

/// Puts an entry into the ring of a queue if there is room.
fn submit(bench: &mut Bench, driver: &mut Driver, queue: usize, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    driver.submit(bench, queue, &bytes[..driver.entry_bytes()]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_request_ends_whatever_it_says(
        profile in profile(),
        memory in prop::collection::vec(any::<u8>(), 1000..5000),
        entries in prop::collection::vec((0_usize..2, entry()), 1..15),
    ) {
        let mut bench = Bench::with_profile(profile, Revision::V3);
        let mut driver = Driver::with_queues(&mut bench, &[0, 1]);
        for start in (0x10_0000..0x60_0000).step_by(memory.len()) {
            bench.machine.store(start, &memory);
        }
        for (queue, words) in &entries {
            submit(&mut bench, &mut driver, *queue, words);
            bench.settle();
        }
        prop_assert_eq!(bench.counter("requests_done"), entries.len() as u64);
        prop_assert_eq!(bench.counter("requests_in_flight"), 0);
    }

    #[test]
    fn no_sequence_of_accesses_stops_the_model(
        profile in profile(),
        v4 in any::<bool>(),
        silicon in prop_oneof![Just(Silicon::empty()), any::<u32>().prop_map(Silicon::from_bits_truncate)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let revision = if v4 { Revision::V4 } else { Revision::V3 };
        let mut bench = Bench::with_profile(profile, revision);
        bench.device.set_silicon(&silicon.to_string()).unwrap();
        let mut driver = Driver::with_queues(&mut bench, &[0, 1]);
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
                Step::Entry(queue, words) => submit(&mut bench, &mut driver, queue, &words),
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
