// SPDX-License-Identifier: GPL-2.0

//! ZIP: raw deflate, both ways. Names are those of the kernel's `zip.h`.

use anyhow::{Result, ensure};
use fastrand::Rng;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::{Accelerator, same};
use crate::qm::{Buffer, Engine, Entry, Fields, SLOT_BUFFER, Side, Slot, Work};

/// The ZIP accelerator.
pub static ZIP: Accelerator = Accelerator {
    kind: protocol::Engine::Zip,
    id: "zip0",
    pf: 0xa250,
    vf: 0xa251,
    module: "hisi_zip",
    software: &["deflate", "lz4"],
    engine: &Zip { largest: 12 << 10 },
};

/// The same with requests so small that they hardly take time.
pub static SMALL_ZIP: &dyn Engine = &Zip { largest: 256 };

/// Size of `struct hisi_zip_sqe`.
const ENTRY_SIZE: usize = 128;
const CONSUMED: usize = 0;
const PRODUCED: usize = 1;
const STATUS: usize = 3;
const TAG: usize = 26;

const SQE_TYPE_3: u32 = 3 << 28;
const DEFLATE: u32 = 1;
const BUFFERS_ARE_SGL: u32 = 1 << 8;
const WINDOW_16K: u32 = 2 << 12;

/// The output of a compression was larger than its input, which is no error.
const NEGATIVE_COMPRESSION: u32 = 0x0d;

/// Direction of a request; its number is the algorithm type of the queue it goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
enum Direction {
    Compress = 0,
    Decompress = 1,
}

impl Direction {
    /// Half of the queues compress.
    fn of(queue: u16) -> Self {
        match queue % 2 {
            0 => Direction::Compress,
            _ => Direction::Decompress,
        }
    }
}

struct Zip {
    /// Most bytes of plain text in a request.
    largest: usize,
}

impl Engine for Zip {
    fn entry_size(&self) -> usize {
        ENTRY_SIZE
    }

    fn algorithm(&self, queue: u16) -> u16 {
        Direction::of(queue) as u16
    }

    fn work(&self, queue: u16, random: &mut Rng) -> Box<dyn Work> {
        Box::new(Deflate::generate(
            Direction::of(queue),
            self.largest,
            random,
        ))
    }

    fn tag(&self, entry: &Entry) -> u64 {
        entry.double_word(TAG)
    }
}

/// A request to compress or to decompress.
struct Deflate {
    direction: Direction,
    input: Vec<u8>,
    plain: Vec<u8>,
}

impl Deflate {
    /// Text-like data of 1 byte to `largest`: some of it repeats, some does not.
    fn generate(direction: Direction, largest: usize, random: &mut Rng) -> Self {
        let length = random.usize(1..=largest);
        let mut plain = Vec::with_capacity(length + 64);
        while plain.len() < length {
            let run = random.usize(1..=64);
            match plain.len() {
                past if past > 64 && random.usize(..3) != 0 => {
                    let from = random.usize(..past - run.min(past - 1));
                    plain.extend_from_within(from..(from + run).min(past));
                }
                _ => plain.extend((0..run).map(|_| random.u8(..))),
            }
        }
        plain.truncate(length);
        let input = match direction {
            Direction::Compress => plain.clone(),
            Direction::Decompress => compress_to_vec(&plain, 1),
        };
        Deflate {
            direction,
            input,
            plain,
        }
    }

    fn verify(&self, output: &[u8]) -> Result<()> {
        match self.direction {
            Direction::Decompress => same(output, &self.plain),
            Direction::Compress => {
                let inflated = decompress_to_vec_with_limit(output, SLOT_BUFFER)
                    .map_err(|error| anyhow::anyhow!("the output does not inflate: {error}"))?;
                same(&inflated, &self.plain)
            }
        }
    }
}

/// `struct hisi_zip_sqe` of a deflate request whose buffers are scatter-gather lists.
fn sqe(source: Buffer, destination: Buffer, tag: u64) -> [u8; ENTRY_SIZE] {
    let dword = |index: usize| index * 4;
    Fields::new()
        .u32(dword(4), source.length)
        .u32(dword(7), SQE_TYPE_3)
        .u32(dword(9), DEFLATE | BUFFERS_ARE_SGL | WINDOW_16K)
        .u32(dword(14), destination.length)
        .u64(dword(18), source.address)
        .u64(dword(20), destination.address)
        .u64(dword(TAG), tag)
        .finish()
}

impl Work for Deflate {
    fn submit(&self, slot: &Slot<'_>, tag: u64, random: &mut Rng) -> Vec<u8> {
        let source = slot.scatter(Side::Source, slot.source(&self.input), random);
        let destination = slot.scatter(Side::Destination, slot.destination(SLOT_BUFFER), random);
        sqe(source, destination, tag).to_vec()
    }

    fn check(&self, slot: &Slot<'_>, entry: &Entry) -> Result<()> {
        let status = entry.word(STATUS) & 0xff;
        ensure!(
            status == 0 || status == NEGATIVE_COMPRESSION,
            "status {status:#x}"
        );
        let (consumed, produced) = (entry.word(CONSUMED), entry.word(PRODUCED) as usize);
        ensure!(
            consumed as usize == self.input.len(),
            "{consumed} of {} input bytes consumed",
            self.input.len(),
        );
        ensure!(produced <= SLOT_BUFFER, "{produced} bytes produced");
        self.verify(&slot.output(produced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_both_directions_verifies_itself_and_nothing_else() {
        let mut random = Rng::with_seed(1);
        for _ in 0..200 {
            let work = Deflate::generate(Direction::Compress, 12 << 10, &mut random);
            let packed = compress_to_vec(&work.plain, 6);
            work.verify(&packed).unwrap();
            let work = Deflate::generate(Direction::Decompress, 12 << 10, &mut random);
            assert!(work.input.len() <= SLOT_BUFFER);
            work.verify(&work.plain).unwrap();
            let mut wrong = work.plain.clone();
            wrong[0] ^= 1;
            assert!(work.verify(&wrong).is_err());
            assert!(work.verify(&work.plain[1..]).is_err());
        }
    }

    #[test]
    fn sqe_is_what_hisi_zip_fills() {
        let source = Buffer {
            address: 0x1_0000_0040,
            length: 4096,
        };
        let sqe = sqe(source, source, 0x1122_3344_5566_7788);
        assert_eq!(sqe[28..32], 0x3000_0000_u32.to_le_bytes());
        assert_eq!(sqe[36..40], 0x2101_u32.to_le_bytes());
        assert_eq!(sqe[104..112], 0x1122_3344_5566_7788_u64.to_le_bytes());
    }
}
