// SPDX-License-Identifier: GPL-2.0

//! The structures the queue manager and the ZIP engine read from and write to memory, and where
//! the VM keeps them. Names are those of the kernel's `qm.c`, `sgl.c` and `zip.h`.

use crate::ffi::Mapping;

/// A structure of `N` bytes under construction, little endian; what is not set is 0.
struct Fields<const N: usize>([u8; N]);

impl<const N: usize> Fields<N> {
    fn new() -> Self {
        Fields([0; N])
    }

    fn u16(mut self, offset: usize, value: u16) -> Self {
        self.0[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(mut self, offset: usize, value: u64) -> Self {
        self.0[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        self
    }
}

/// Size of `struct qm_sqc`, `qm_cqc`, `qm_eqc` and `qm_aeqc`.
pub(super) const CONTEXT_SIZE: usize = 32;
/// Size of `struct hisi_zip_sqe`.
pub(super) const SQE_SIZE: usize = 128;
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

/// `struct qm_sqc` of a queue with `depth` entries at `base`.
pub(super) fn sqc(base: u64, depth: u16, queue: u16, algorithm: u16) -> [u8; CONTEXT_SIZE] {
    Fields::new()
        .u64(4, base)
        .u32(
            12,
            u32::from(depth - 1) | SQE_SIZE.ilog2() << ENTRY_SIZE_SHIFT,
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
pub(super) struct Buffer {
    pub(super) address: u64,
    pub(super) length: u32,
}

const SQE_TYPE_3: u32 = 3 << 28;
const DEFLATE: u32 = 1;
const BUFFERS_ARE_SGL: u32 = 1 << 8;
const WINDOW_16K: u32 = 2 << 12;

/// `struct hisi_zip_sqe` of a deflate request whose buffers are scatter-gather lists.
pub(super) fn zip_sqe(source: Buffer, destination: Buffer, tag: u64) -> [u8; SQE_SIZE] {
    let dword = |index: usize| index * 4;
    Fields::new()
        .u32(dword(4), source.length)
        .u32(dword(7), SQE_TYPE_3)
        .u32(dword(9), DEFLATE | BUFFERS_ARE_SGL | WINDOW_16K)
        .u32(dword(14), destination.length)
        .u64(dword(18), source.address)
        .u64(dword(20), destination.address)
        .u64(dword(26), tag)
        .0
}

/// Most entries a scatter-gather list of ours has.
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

/// What of a `struct hisi_zip_sqe` the device has written.
pub(super) struct Outcome {
    pub(super) consumed: u32,
    pub(super) produced: u32,
    pub(super) status: u8,
    pub(super) tag: u64,
}

impl Outcome {
    pub(super) fn read(memory: &Mapping, sqe: usize) -> Self {
        let dword = |index: usize| memory.read32(sqe + index * 4);
        Outcome {
            consumed: dword(0),
            produced: dword(1),
            status: dword(3) as u8,
            tag: u64::from(dword(26)) | u64::from(dword(27)) << 32,
        }
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
        crate::ffi::acquire();
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
        crate::ffi::acquire();
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
        let sqc = sqc(0x1_0000_2000, 1024, 5, 1);
        assert_eq!(sqc[4..12], 0x1_0000_2000_u64.to_le_bytes());
        assert_eq!(sqc[12..16], 0x73ff_u32.to_le_bytes());
        assert_eq!(sqc[24..28], [5, 0, 0x10, 0x01]);
        assert_eq!(cqc(0, 1024)[12..16], 0x43ff_u32.to_le_bytes());
        assert_eq!(cqc(0, 1024)[24], 3);
        assert_eq!(eqc(0, 2048)[24..28], 0x1_07ff_u32.to_le_bytes());
    }

    #[test]
    fn sqe_is_what_hisi_zip_fills() {
        let source = Buffer {
            address: 0x1_0000_0040,
            length: 4096,
        };
        let sqe = zip_sqe(source, source, 0x1122_3344_5566_7788);
        assert_eq!(sqe[28..32], 0x3000_0000_u32.to_le_bytes());
        assert_eq!(sqe[36..40], 0x2101_u32.to_le_bytes());
        assert_eq!(sqe[104..112], 0x1122_3344_5566_7788_u64.to_le_bytes());
    }
}
