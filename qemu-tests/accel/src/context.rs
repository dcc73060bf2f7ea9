// SPDX-License-Identifier: GPL-2.0

//! Queue contexts as stored in memory.
//!
//! Source: `struct qm_sqc` and `struct qm_cqc` in `drivers/crypto/hisilicon/qm_common.h`, `QM_MK_*` in `qm.c`. All
//! words are little endian. Fields that the model does not use are preserved.

/// Size of any queue context in bytes.
pub const CONTEXT_BYTES: usize = 32;

const WORDS: usize = CONTEXT_BYTES / 4;

/// Bit 6 of `w11`: flips each time the tail wraps, which distinguishes an empty ring from a full one.
const TAIL_WRAP: u32 = 1 << (6 + 16);

fn words(bytes: &[u8; CONTEXT_BYTES]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    words
}

fn bytes(words: &[u32; WORDS]) -> [u8; CONTEXT_BYTES] {
    let mut bytes = [0; CONTEXT_BYTES];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

const fn low(word: u32) -> u16 {
    (word & 0xffff) as u16
}

const fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

const fn base(words: &[u32; WORDS]) -> u64 {
    words[1] as u64 | (words[2] as u64) << 32
}

/// Returns the ring depth from `dw3`: bits 11:0 hold depth - 1.
const fn depth(words: &[u32; WORDS]) -> u16 {
    (words[3] & 0xfff) as u16 + 1
}

/// Returns the index after `index` in a ring of `depth`, and whether it wraps.
pub(crate) const fn next_index(index: u16, depth: u16) -> (u16, bool) {
    if index + 1 >= depth {
        (0, true)
    } else {
        (index + 1, false)
    }
}

/// Returns the number of entries from `head` up to, but excluding, `tail`; both are below `depth`.
pub(crate) const fn distance(head: u16, tail: u16, depth: u16) -> u16 {
    if tail >= head {
        tail - head
    } else {
        depth - head + tail
    }
}

macro_rules! ring_context {
    ($name:ident) => {
        impl $name {
            /// Returns the context stored in `bytes`.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; CONTEXT_BYTES]) -> Self {
                Self(words(bytes))
            }

            /// Returns the context as stored in memory.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; CONTEXT_BYTES] {
                bytes(&self.0)
            }

            /// Returns the first entry not yet taken by the consumer; `w0`.
            #[must_use]
            pub fn head(&self) -> u16 {
                low(self.0[0])
            }

            /// Returns the first entry not yet filled by the producer; `w1`.
            #[must_use]
            pub fn tail(&self) -> u16 {
                high(self.0[0])
            }

            /// Returns the address of the ring.
            #[must_use]
            pub fn base(&self) -> u64 {
                base(&self.0)
            }

            /// Returns the number of entries of the ring, 1..=4096.
            #[must_use]
            pub fn depth(&self) -> u16 {
                depth(&self.0)
            }

            /// Returns the number of entries that are filled and not taken.
            #[must_use]
            pub fn used(&self) -> u16 {
                distance(self.head(), self.tail(), self.depth())
            }

            /// Returns whether head and tail are inside the ring.
            #[must_use]
            pub fn in_range(&self) -> bool {
                self.head() < self.depth() && self.tail() < self.depth()
            }

            pub(crate) fn set_head(&mut self, head: u16) {
                self.0[0] = self.0[0] & 0xffff_0000 | u32::from(head);
            }

            pub(crate) fn set_tail(&mut self, tail: u16, wrapped: bool) {
                self.0[0] = self.0[0] & 0xffff | u32::from(tail) << 16;
                if wrapped {
                    self.0[5] ^= TAIL_WRAP;
                }
            }
        }
    };
}

/// Context of a submission queue (`struct qm_sqc`); the driver fills the queue, the device takes entries from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sqc([u32; WORDS]);

ring_context!(Sqc);

impl Sqc {
    /// Returns the size of an entry in bytes: a power of two, in bits 15:12 of `dw3`.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        1 << (self.0[3] >> 12 & 0xf)
    }

    /// Returns the number of this queue's completion queue; `cq_num`.
    #[must_use]
    pub fn completion_queue(&self) -> u16 {
        low(self.0[6])
    }

    /// Returns the algorithm that the engine is to execute; bits 11:8 of `w13`.
    #[must_use]
    pub fn algorithm(&self) -> u8 {
        (high(self.0[6]) >> 8 & 0xf) as u8
    }

    /// Returns whether the driver has closed the queue in memory: `QM_SQC_DISABLE_QP` in `w13`.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        high(self.0[6]) & 1 << 6 != 0
    }
}

/// Context of a completion queue (`struct qm_cqc`); the device fills the queue, the driver takes entries from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cqc([u32; WORDS]);

ring_context!(Cqc);

impl Cqc {
    /// Returns the phase of the next entry; flips at each wrap. Bit 0 of `dw6`.
    #[must_use]
    pub fn phase(&self) -> bool {
        self.0[6] & 1 != 0
    }

    /// Returns whether the next completion is to be reported by an event. Bit 1 of `dw6`.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.0[6] & 2 != 0
    }

    pub(crate) fn set_armed(&mut self, armed: bool) {
        self.0[6] = self.0[6] & !2 | u32::from(armed) << 1;
    }

    /// Counts an entry as filled.
    pub(crate) fn advance(&mut self) {
        let (tail, wrapped) = next_index(self.tail(), self.depth());
        self.set_tail(tail, wrapped);
        self.0[6] ^= u32::from(wrapped);
    }

    /// Returns whether there is room for another entry; one entry stays free to distinguish full from empty.
    #[must_use]
    pub fn room(&self) -> u16 {
        (self.depth() - 1).saturating_sub(self.used())
    }
}
