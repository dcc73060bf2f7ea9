// SPDX-License-Identifier: GPL-2.0

//! The structures that the queue manager reads from and writes to memory, whatever the engine.
//! Names are those of the kernel's `qm.c` and `sgl.c`.

use linux::ffi::Mapping;

/// A structure of `N` bytes under construction, little endian; what is not set is 0.
pub struct Fields<const N: usize>([u8; N]);

impl<const N: usize> Default for Fields<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Fields<N> {
    /// All zeroes.
    pub fn new() -> Self {
        Fields([0; N])
    }

    fn u16(mut self, offset: usize, value: u16) -> Self {
        self.0[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// Sets 4 bytes.
    pub fn u32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// Sets 8 bytes.
    pub fn u64(mut self, offset: usize, value: u64) -> Self {
        self.0[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// The bytes of the structure.
    pub fn finish(self) -> [u8; N] {
        self.0
    }
}

/// Size of `struct qm_sqc`, `qm_cqc`, `qm_eqc` and `qm_aeqc`.
pub(super) const CONTEXT_SIZE: usize = 32;
/// Size of the largest submission queue entry.
pub(super) const LARGEST_SQE: usize = 128;
/// Size of `struct qm_cqe`.
pub(super) const CQE_SIZE: usize = 16;
/// Size of `struct qm_eqe`.
pub(super) const EQE_SIZE: usize = 4;

/// Contexts say the size of an entry as a power of two from this bit on.
const ENTRY_SIZE_SHIFT: u32 = 12;
const EQC_PHASE: u32 = 1 << 16;
const CQC_PHASE: u32 = 1 << 0;
/// The next completion makes an event; cleared by the device when it has.
const CQC_FLAG: u32 = 1 << 1;
const SQC_ORDERS_SHIFT: u16 = 4;
const SQC_TYPE_SHIFT: u16 = 8;

/// A submission queue: what its context says.
pub(super) struct Submission {
    /// Where its entries are for the device.
    pub(super) base: u64,
    pub(super) depth: u16,
    /// Bytes of an entry, a power of two.
    pub(super) entry_size: usize,
    pub(super) algorithm: u16,
}

/// `struct qm_sqc` of queue `queue`.
pub(super) fn sqc(queue: u16, submission: &Submission) -> [u8; CONTEXT_SIZE] {
    let Submission {
        base,
        depth,
        entry_size,
        algorithm,
    } = *submission;
    Fields::new()
        .u64(4, base)
        .u32(
            12,
            u32::from(depth - 1) | entry_size.ilog2() << ENTRY_SIZE_SHIFT,
        )
        .u16(24, queue)
        .u16(26, 1 << SQC_ORDERS_SHIFT | algorithm << SQC_TYPE_SHIFT)
        .0
}

/// `struct qm_cqc` of a queue with `depth` entries at `base`, armed.
pub(super) fn cqc(base: u64, depth: u16) -> [u8; CONTEXT_SIZE] {
    Fields::new()
        .u64(4, base)
        .u32(
            12,
            u32::from(depth - 1) | CQE_SIZE.ilog2() << ENTRY_SIZE_SHIFT,
        )
        .u32(24, CQC_PHASE | CQC_FLAG)
        .0
}

/// `struct qm_eqc` or `qm_aeqc` of a queue with `depth` entries at `base`.
pub(super) fn eqc(base: u64, depth: u16) -> [u8; CONTEXT_SIZE] {
    Fields::new()
        .u64(4, base)
        .u32(24, u32::from(depth - 1) | EQC_PHASE)
        .0
}

/// Where and how much: an address as the device sees it, and a length in bytes.
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The address of its first byte.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
}

/// Most entries of a scatter-gather list that this program writes.
pub(super) const SGL_ENTRIES: usize = 10;
/// Size of `struct hisi_acc_hw_sgl` with that many `struct acc_hw_sge`.
pub(super) const SGL_SIZE: usize = 64 + 32 * SGL_ENTRIES;

/// `struct hisi_acc_hw_sgl`.
pub(super) fn sgl(parts: &[Buffer]) -> [u8; SGL_SIZE] {
    let mut list = Fields::new()
        .u16(8, parts.len() as u16)
        .u16(10, parts.len() as u16)
        .u16(12, SGL_ENTRIES as u16);
    for (index, part) in parts.iter().enumerate() {
        let entry = 64 + 32 * index;
        list = list.u64(entry, part.address).u32(entry + 16, part.length);
    }
    list.0
}

/// A submission queue entry, as the device has left it.
pub struct Entry(Vec<u8>);

impl Entry {
    /// An entry of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Entry(bytes)
    }

    /// 32-bit word `index`.
    pub fn word(&self, index: usize) -> u32 {
        let bytes = self.0[index * 4..].first_chunk();
        u32::from_le_bytes(*bytes.expect("the word is in the entry"))
    }

    /// 64-bit word whose low half is word `index`.
    pub fn double_word(&self, index: usize) -> u64 {
        u64::from(self.word(index)) | u64::from(self.word(index + 1)) << 32
    }
}

/// What of a `struct qm_cqe` matters.
pub(super) struct Cqe {
    pub(super) sq_head: u16,
    pub(super) sq_num: u16,
    pub(super) phase: bool,
}

impl Cqe {
    pub(super) fn read(memory: &Mapping, offset: usize) -> Self {
        let phase = memory.read16(offset + 14) & 1 != 0;
        // The phase is what makes the rest valid.
        linux::ffi::acquire();
        Cqe {
            sq_head: memory.read16(offset + 8),
            sq_num: memory.read16(offset + 10),
            phase,
        }
    }
}

/// `struct qm_eqe`.
pub(super) struct Eqe {
    pub(super) queue: u16,
    pub(super) phase: bool,
}

impl Eqe {
    pub(super) fn read(memory: &Mapping, offset: usize) -> Self {
        let word = memory.read32(offset);
        linux::ffi::acquire();
        Eqe {
            queue: word as u16,
            phase: word >> 16 & 1 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_the_kernels() {
        let submission = Submission {
            base: 0x1_0000_2000,
            depth: 1024,
            entry_size: 128,
            algorithm: 1,
        };
        let sqc = sqc(5, &submission);
        assert_eq!(sqc[4..12], 0x1_0000_2000_u64.to_le_bytes());
        assert_eq!(sqc[12..16], 0x73ff_u32.to_le_bytes());
        assert_eq!(sqc[24..28], [5, 0, 0x10, 0x01]);
        assert_eq!(cqc(0, 1024)[12..16], 0x43ff_u32.to_le_bytes());
        assert_eq!(cqc(0, 1024)[24], 3);
        assert_eq!(eqc(0, 2048)[24..28], 0x1_07ff_u32.to_le_bytes());
    }

    #[test]
    fn words_of_an_entry_are_little_endian() {
        let entry = Entry::new(vec![0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(entry.word(1), 0x0403_0201);
        assert_eq!(entry.double_word(1), 0x0807_0605_0403_0201);
    }
}
