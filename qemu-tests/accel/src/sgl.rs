// SPDX-License-Identifier: GPL-2.0

//! Scatter-gather lists of the hardware.
//!
//! Source: `struct hisi_acc_hw_sgl` and `struct acc_hw_sge` in `drivers/crypto/hisilicon/sgl.c`. A list has a head of
//! 64 bytes (next list in bytes 7:0, entries in use in bytes 11:10) and entries of 32 bytes (address in bytes 7:0,
//! length in bytes 19:16).

use crate::bus::Bus;
use crate::host::DmaFault;

const HEAD_BYTES: usize = 64;
const ENTRY_BYTES: usize = 32;
/// `HISI_ACC_SGL_SGE_NR_MAX`.
const MAX_ENTRIES: u16 = 255;
/// Maximum number of lists of a chain that are followed; a chain may be a ring.
const MAX_LISTS: usize = 32;

/// A contiguous piece of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    address: u64,
    length: u32,
}

/// Memory made of pieces, in order.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Returns memory made of a single piece.
    pub(crate) fn flat(address: u64, length: u32) -> Self {
        Self(vec![Piece { address, length }])
    }

    /// Follows the chain at `address` until `wanted` bytes after the first `skip` bytes are covered, or the chain ends.
    pub(crate) fn gather(
        bus: &mut Bus<'_>,
        mut address: u64,
        skip: u32,
        wanted: u32,
    ) -> Result<Self, DmaFault> {
        let mut pieces = Self::default();
        let mut skip = u64::from(skip);
        let mut missing = u64::from(wanted);
        for _ in 0..MAX_LISTS {
            let mut head = [0; HEAD_BYTES];
            bus.read(address, &mut head)?;
            let in_use = u16::from_le_bytes([head[10], head[11]]).min(MAX_ENTRIES);
            let mut entries = vec![0; usize::from(in_use) * ENTRY_BYTES];
            if in_use != 0 {
                bus.read(address.wrapping_add(HEAD_BYTES as u64), &mut entries)?;
            }
            for entry in entries.chunks_exact(ENTRY_BYTES) {
                let start = little_endian(&entry[..8]);
                let length = little_endian(&entry[16..20]);
                let skipped = skip.min(length);
                skip -= skipped;
                let taken = (length - skipped).min(missing);
                missing -= taken;
                if taken != 0 {
                    pieces.0.push(Piece {
                        address: start.wrapping_add(skipped),
                        length: taken as u32,
                    });
                }
            }
            address = little_endian(&head[..8]);
            if address == 0 || missing == 0 {
                break;
            }
        }
        Ok(pieces)
    }

    /// Returns the total number of bytes of all pieces.
    pub(crate) fn length(&self) -> u64 {
        self.0.iter().map(|piece| u64::from(piece.length)).sum()
    }

    /// Reads all pieces.
    pub(crate) fn read(&self, bus: &mut Bus<'_>) -> Result<Vec<u8>, DmaFault> {
        let mut data = vec![0; usize::try_from(self.length()).unwrap_or(0)];
        let mut rest = data.as_mut_slice();
        for piece in &self.0 {
            let (part, after) = rest.split_at_mut((piece.length as usize).min(rest.len()));
            bus.read(piece.address, part)?;
            rest = after;
        }
        Ok(data)
    }

    /// Writes `data` to the start of this memory and drops the bytes that do not fit.
    pub(crate) fn write(&self, bus: &mut Bus<'_>, mut data: &[u8]) -> Result<(), DmaFault> {
        for piece in &self.0 {
            let (part, after) = data.split_at((piece.length as usize).min(data.len()));
            if part.is_empty() {
                break;
            }
            bus.write(piece.address, part)?;
            data = after;
        }
        Ok(())
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
