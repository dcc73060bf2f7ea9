// SPDX-License-Identifier: GPL-2.0

//! The migration stream as `struct acc_vf_data` of the C driver lays it out: where its fields are.
//!
//! It is written down here once more, and not taken from the driver under test, whose mistakes the
//! tests would share.

use std::ops::Range;

/// Size of the part that comes in PRE_COPY, the match data.
pub(crate) const MATCH_SIZE: usize = PRIVATE.end;
/// Size of the whole stream.
pub(crate) const STREAM_SIZE: usize = CQC_DMA.end;

pub(crate) const MAGIC: Range<usize> = 0..8;
pub(crate) const QUEUE_COUNT: Range<usize> = 8..12;
pub(crate) const DEVICE: Range<usize> = 12..16;
pub(crate) const ISOLATION: Range<usize> = 16..20;
/// The first queue, which no driver compares.
pub(crate) const QUEUE_BASE: Range<usize> = 20..24;
pub(crate) const VF_STATE: Range<usize> = 24..28;
pub(crate) const MAJOR_VERSION: Range<usize> = 28..30;
pub(crate) const MINOR_VERSION: Range<usize> = 30..32;
/// Our private extension: promise, hardware version and signature.
pub(crate) const PRIVATE: Range<usize> = 32..40;
/// In the private extension.
pub(crate) const HARDWARE_VERSION: Range<usize> = 34..36;
pub(crate) const AEQ_INT_MASK: Range<usize> = 40..44;
pub(crate) const EQ_INT_MASK: Range<usize> = 44..48;
pub(crate) const IFC_INT_SOURCE: Range<usize> = 48..52;
pub(crate) const IFC_INT_MASK: Range<usize> = 52..56;
pub(crate) const IFC_INT_SET: Range<usize> = 56..60;
pub(crate) const PAGE_SIZE: Range<usize> = 60..64;
/// The context of the event queue, seven words.
pub(crate) const EQC: Range<usize> = 64..92;
/// The context of the asynchronous event queue, seven words.
pub(crate) const AEQC: Range<usize> = 92..120;
pub(crate) const EQE_DMA: Range<usize> = 144..152;
pub(crate) const AEQE_DMA: Range<usize> = 152..160;
pub(crate) const SQC_DMA: Range<usize> = 160..168;
pub(crate) const CQC_DMA: Range<usize> = 168..176;

/// The magic of version 1, which Linux before 6.16 sends.
pub(crate) const MAGIC_V1: u64 = 0xcdcd_cdcd_feed_aacc;

/// A word of a queue's context.
pub(crate) const fn word(context: &Range<usize>, index: usize) -> Range<usize> {
    let start = context.start + 4 * index;
    start..start + 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_stream() {
        assert_eq!((MATCH_SIZE, STREAM_SIZE), (40, 176));
        assert_eq!(word(&EQC, 6), 88..92);
        assert_eq!(word(&AEQC, 1), 96..100);
    }
}
