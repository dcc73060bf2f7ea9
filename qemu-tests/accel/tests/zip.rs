// SPDX-License-Identifier: GPL-2.0

//! Checks the ZIP engine against another implementation of deflate and through the fields of its requests.

mod common;

use common::Bench;
use common::Driver;
use common::request;
use common::sgl::lay_out;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use proptest::prelude::*;

const SGL: u32 = 1 << 8;

struct Zip {
    bench: Bench,
    driver: Driver,
}

struct Outcome {
    status: u32,
    consumed: u32,
    data: Vec<u8>,
}

impl Zip {
    /// Queue 0 compresses, queue 1 decompresses.
    fn new() -> Self {
        let mut bench = Bench::new();
        let driver = Driver::with_queues(&mut bench, &[0, 1]);
        Self { bench, driver }
    }

    fn run(&mut self, queue: usize, entry: &[u8; 128]) -> (u32, u32, u32) {
        let place = self.driver.queues[queue].tail;
        assert!(self.driver.submit(&mut self.bench, queue, entry));
        self.bench.settle();
        self.driver.poll(&mut self.bench);
        assert_eq!(self.driver.queues[queue].done.last(), Some(&place));
        let entry = self.driver.entry(queue, place);
        let word = |index: u64| self.bench.machine.load_u32(entry + 4 * index);
        (word(3) & 0xff, word(0), word(1))
    }

    fn flat(&mut self, queue: usize, data: &[u8], room: u32) -> Outcome {
        let (source, destination) = (self.driver.input(0), self.driver.output(0));
        self.bench.machine.store(source, data);
        let entry = request(source, data.len() as u32, destination, room, 0);
        let (status, consumed, produced) = self.run(queue, &entry);
        Outcome {
            status,
            consumed,
            data: self
                .bench
                .machine
                .load(destination, produced as usize)
                .to_vec(),
        }
    }
}

fn restore(packed: &[u8]) -> Vec<u8> {
    decompress_to_vec(packed).unwrap()
}

fn pack(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, 9)
}

#[test]
fn output_larger_than_input_is_told_and_is_no_error() {
    let mut zip = Zip::new();
    let outcome = zip.flat(0, &[42], 64);
    assert_eq!(outcome.status, 0x0d);
    assert_eq!(restore(&outcome.data), [42]);
}

#[test]
fn a_destination_that_is_too_small_is_an_error() {
    let mut zip = Zip::new();
    let data: Vec<u8> = (0..1000_u32)
        .map(|byte| ((byte * byte) >> 3) as u8)
        .collect();
    for room in [0, 1, 16] {
        let outcome = zip.flat(0, &data, room);
        assert_eq!(outcome.status, 0x01);
        assert!(outcome.data.is_empty());
    }
    let packed = pack(&data);
    assert_eq!(zip.flat(1, &packed, 999).status, 0x01);
    let outcome = zip.flat(1, &packed, 1000);
    assert_eq!(outcome.status, 0);
    assert_eq!(outcome.data, data);
}

#[test]
fn a_broken_stream_is_an_error() {
    let mut zip = Zip::new();
    let packed = pack(&[7; 5000]);
    assert_eq!(zip.flat(1, &packed[..packed.len() - 1], 8192).status, 0x03);
    assert_eq!(zip.flat(1, &[0xff; 32], 8192).status, 0x03);
}

#[test]
fn requests_beyond_the_engine_are_errors() {
    let mut zip = Zip::new();
    for (word, value) in [
        (4, 9 << 20),
        (7, 2 << 28),
        (9, 2 | 2 << 12),
        (9, 1 | 2 << 8 | 2 << 12),
        (9, 1 | 9 << 12),
    ] {
        let mut entry = request(zip.driver.input(0), 16, zip.driver.output(0), 64, 0);
        entry[4 * word..4 * word + 4].copy_from_slice(&u32::to_le_bytes(value));
        let (status, _, produced) = zip.run(0, &entry);
        assert_eq!((status, produced), (0x20, 0), "word {word} is {value:#x}");
    }
    zip.bench.assert_clean();
}

/// Returns a request for LZ4.
fn lz4_request(zip: &mut Zip, data: &[u8], room: u32) -> [u8; 128] {
    let (source, destination) = (zip.driver.input(0), zip.driver.output(0));
    zip.bench.machine.store(source, data);
    let mut entry = request(source, data.len() as u32, destination, room, 0);
    entry[36..40].copy_from_slice(&(4_u32 | 2 << 12).to_le_bytes());
    entry
}

#[test]
fn lz4_is_for_packing_alone() {
    let mut zip = Zip::new();
    let entry = lz4_request(&mut zip, &[7; 100], 64);
    assert_eq!(zip.run(0, &entry).0, 0);
    assert_eq!(zip.run(1, &entry).0, 0x20);
    let entry = lz4_request(&mut zip, &[7; 100], 4);
    assert_eq!(zip.run(0, &entry).0, 0x01);
    zip.bench.assert_clean();
}

#[test]
fn distances_stay_inside_the_window() {
    let mut zip = Zip::new();
    // 6 KiB of noise, repeated: a window of 4 KiB does not reach the first copy, one of 8 KiB does.
    let mut noise = vec![0; 6 << 10];
    let mut state = 1_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let data = [noise.as_slice(), &noise].concat();
    zip.bench.machine.store(zip.driver.input(0), &data);
    let mut produced = |window: u32| {
        let mut entry = request(
            zip.driver.input(0),
            data.len() as u32,
            zip.driver.output(0),
            16 << 10,
            0,
        );
        entry[36..40].copy_from_slice(&(1 | window << 12).to_le_bytes());
        zip.run(0, &entry).2
    };
    let (narrow, wide) = (produced(0), produced(1));
    assert!(narrow > 12 << 10, "{narrow}");
    assert!(wide < 7 << 10, "{wide}");
}

#[test]
fn a_chain_of_lists_that_never_ends_is_not_followed_for_ever() {
    let mut zip = Zip::new();
    let list = zip.driver.input(0);
    zip.bench.machine.store(list, &list.to_le_bytes());
    let mut entry = request(list, 16, zip.driver.output(0), 64, 0);
    entry[36..40].copy_from_slice(&(1 | SGL | 2 << 12).to_le_bytes());
    assert_eq!(zip.run(0, &entry).0, 0x20);
}

/// Returns data that contain both runs and noise.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let piece = (any::<u8>(), 1_usize..400, any::<bool>()).prop_map(|(byte, length, run)| {
        (0..length)
            .map(|index| if run { byte } else { byte ^ (index * 37) as u8 })
            .collect::<Vec<_>>()
    });
    prop::collection::vec(piece, 1..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn compressing_and_restoring_keep_every_byte(data in data()) {
        let mut zip = Zip::new();
        let packed = zip.flat(0, &data, 64 << 10);
        prop_assert!(packed.status == 0 || packed.status == 0x0d);
        prop_assert_eq!(packed.consumed as usize, data.len());
        prop_assert_eq!(&restore(&packed.data), &data);
        let restored = zip.flat(1, &packed.data, data.len() as u32);
        prop_assert_eq!(restored.status, 0);
        prop_assert_eq!(&restored.data, &data);
        zip.bench.assert_clean();
    }

    #[test]
    fn a_block_of_lz4_keeps_every_byte(data in data()) {
        let mut zip = Zip::new();
        let entry = lz4_request(&mut zip, &data, 64 << 10);
        let (status, consumed, produced) = zip.run(0, &entry);
        prop_assert!(status == 0 || status == 0x0d);
        prop_assert_eq!(consumed as usize, data.len());
        let packed = zip.bench.machine.load(zip.driver.output(0), produced as usize);
        prop_assert_eq!(lz4_flex::block::decompress(packed, data.len()).unwrap(), data);
    }

    #[test]
    fn pieces_are_as_good_as_one_buffer(
        data in data(),
        cuts in prop::collection::vec(1_u32..500, 1..40),
        per_list in 2_usize..12,
        skip in 0_u32..100,
    ) {
        let mut zip = Zip::new();
        // Scatter the data, after `skip` bytes to be ignored, over pieces with gaps.
        let mut rest = [vec![0xee; skip as usize], data.clone()].concat();
        let mut sources = Vec::new();
        let mut address = zip.driver.input(1);
        let mut cut = cuts.iter().cycle();
        while !rest.is_empty() {
            let length = rest.len().min(if sources.len() < 60 { *cut.next().unwrap() as usize } else { rest.len() });
            zip.bench.machine.store(address, &rest[..length]);
            sources.push((address, length as u32));
            rest.drain(..length);
            address += length as u64 + 7;
        }
        let source_lists = zip.driver.output(200);
        let source = lay_out(&mut zip.bench.machine, source_lists, &sources, per_list);
        let targets = [(zip.driver.output(1), 1000), (zip.driver.output(2), 64 << 10)];
        let target_lists = zip.driver.output(220);
        let destination = lay_out(&mut zip.bench.machine, target_lists, &targets, 2);

        let mut entry = request(source, data.len() as u32, destination, 64 << 10, 0);
        entry[28..32].copy_from_slice(&(3 << 28 | skip).to_le_bytes());
        entry[36..40].copy_from_slice(&(1 | SGL | 2 << 12).to_le_bytes());
        let (status, _, produced) = zip.run(0, &entry);
        prop_assert!(status == 0 || status == 0x0d, "{}", status);
        let first = produced.min(1000);
        let packed = [
            zip.bench.machine.load(targets[0].0, first as usize),
            zip.bench.machine.load(targets[1].0, (produced - first) as usize),
        ].concat();
        prop_assert_eq!(restore(&packed), data);
        zip.bench.assert_clean();
    }
}
