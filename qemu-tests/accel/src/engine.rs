// SPDX-License-Identifier: GPL-2.0

//! The interface between a queue and its engine.

use crate::bus::Bus;

/// Size of the largest submission queue entry in bytes.
pub(crate) const MAX_SQE_BYTES: usize = 128;

/// A submission queue entry as stored in memory; an engine with smaller entries uses the start of it.
pub(crate) type Sqe = [u8; MAX_SQE_BYTES];

/// Executes requests.
pub(crate) trait Engine: Send + Sync + std::fmt::Debug {
    /// Returns the size of a submission queue entry in bytes; at most [`MAX_SQE_BYTES`].
    fn entry_bytes(&self) -> usize;

    /// Returns the number of bytes that the request will process, from which its duration is computed; limited by the
    /// engine.
    fn payload_bytes(&self, sqe: &Sqe) -> u32;

    /// Executes the request and writes its result into the entry. `algorithm` is the algorithm of the queue.
    fn process(&self, bus: &mut Bus<'_>, sqe: &mut Sqe, algorithm: u8);
}

/// Returns 32-bit word `index` of an entry.
pub(crate) fn word(sqe: &Sqe, index: usize) -> u32 {
    sqe.chunks_exact(4).nth(index).map_or(0, |bytes| {
        bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    })
}

/// Replaces 32-bit word `index` of an entry.
pub(crate) fn set_word(sqe: &mut Sqe, index: usize, value: u32) {
    if let Some(bytes) = sqe.chunks_exact_mut(4).nth(index) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

/// Returns the 64-bit number whose lower half is word `index`.
pub(crate) fn double_word(sqe: &Sqe, index: usize) -> u64 {
    u64::from(word(sqe, index)) | u64::from(word(sqe, index + 1)) << 32
}

/// Returns bits `low..low + width` of a word.
pub(crate) const fn field(word: u32, low: u32, width: u32) -> u32 {
    word >> low & ((1 << width) - 1)
}
