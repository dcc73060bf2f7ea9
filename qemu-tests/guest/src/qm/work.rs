// SPDX-License-Identifier: GPL-2.0

//! The VM's workload: buffers to compress and to decompress, and whether the results are right.

use anyhow::{Result, ensure};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::image::SLOT_BUFFER;

/// A small generator of numbers that look random (xorshift64*), the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }
}

/// Direction of a request; its number is the algorithm type of the queue it goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(crate) enum Direction {
    Compress = 0,
    Decompress = 1,
}

/// One request: what goes in, what has to come out.
pub(super) struct Work {
    direction: Direction,
    pub(super) input: Vec<u8>,
    plain: Vec<u8>,
}

const LARGEST: usize = 12 << 10;

impl Work {
    /// Text-like data of 1 byte to 12 KiB: some of it repeats, some does not.
    pub(super) fn generate(direction: Direction, random: &mut Random) -> Self {
        let length = 1 + random.below(LARGEST);
        let mut plain = Vec::with_capacity(length + 64);
        while plain.len() < length {
            let run = 1 + random.below(64);
            match plain.len() {
                past if past > 64 && random.below(3) != 0 => {
                    let from = random.below(past - run.min(past - 1));
                    plain.extend_from_within(from..(from + run).min(past));
                }
                _ => plain.extend((0..run).map(|_| random.next() as u8)),
            }
        }
        plain.truncate(length);
        let input = match direction {
            Direction::Compress => plain.clone(),
            Direction::Decompress => compress_to_vec(&plain, 1),
        };
        Work {
            direction,
            input,
            plain,
        }
    }

    /// Whether `output` is right, byte for byte.
    pub(super) fn verify(&self, output: &[u8]) -> Result<()> {
        let inflated;
        let plain = match self.direction {
            Direction::Decompress => output,
            Direction::Compress => {
                inflated = decompress_to_vec_with_limit(output, SLOT_BUFFER)
                    .map_err(|error| anyhow::anyhow!("the output does not inflate: {error}"))?;
                &inflated
            }
        };
        let differs = self
            .plain
            .iter()
            .zip(plain)
            .position(|(want, got)| want != got);
        ensure!(
            differs.is_none() && plain.len() == self.plain.len(),
            "{:?} of {} bytes: expected {} bytes, got {}, first difference at {differs:?}",
            self.direction,
            self.input.len(),
            self.plain.len(),
            plain.len(),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_both_directions_verifies_itself_and_nothing_else() {
        let mut random = Random::new(1);
        for _ in 0..200 {
            let work = Work::generate(Direction::Compress, &mut random);
            let packed = compress_to_vec(&work.plain, 6);
            work.verify(&packed).unwrap();
            let work = Work::generate(Direction::Decompress, &mut random);
            assert!(work.input.len() <= SLOT_BUFFER);
            work.verify(&work.plain).unwrap();
            let mut wrong = work.plain.clone();
            wrong[0] ^= 1;
            assert!(work.verify(&wrong).is_err());
            assert!(work.verify(&work.plain[1..]).is_err());
        }
    }
}
