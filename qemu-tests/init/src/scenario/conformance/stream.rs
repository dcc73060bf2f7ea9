// SPDX-License-Identifier: GPL-2.0

//! Streams to be loaded: those that the two drivers make, and what strangers make of them.

use crate::scenario::support::stream_layout::{self, MAGIC_V1, MATCH_SIZE, STREAM_SIZE, word};

/// The last word of our private extension.
const SIGNATURE: u64 = 0x8ac3_55e1;

/// Where a stream comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    /// The C driver, with a driver in the VM.
    CFull,
    /// The C driver, without.
    CMatch,
    OursFull,
    OursMatch,
    /// Linux before 6.16, with a driver in the VM.
    Version1,
}

impl Base {
    pub(super) const ALL: [Base; 5] = [
        Base::CFull,
        Base::CMatch,
        Base::OursFull,
        Base::OursMatch,
        Base::Version1,
    ];

    /// How long such a stream is.
    pub(super) fn length(self) -> usize {
        match self {
            Base::CMatch | Base::OursMatch => MATCH_SIZE,
            Base::CFull | Base::OursFull | Base::Version1 => STREAM_SIZE,
        }
    }
}

/// A field of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Magic,
    QueueCount,
    Device,
    Isolation,
    QueueBase,
    VfState,
    Major,
    Minor,
    /// Our private extension: promise, hardware version and signature.
    Private,
    AeqIntMask,
    EqIntMask,
    IfcIntSource,
    IfcIntMask,
    IfcIntSet,
    PageSize,
    EqcHead,
    EqcBase,
    EqcDepth,
    AeqcBase,
    EqeDma,
    AeqeDma,
    SqcDma,
    CqcDma,
}

impl Field {
    pub(super) const ALL: [Field; 23] = [
        Field::Magic,
        Field::QueueCount,
        Field::Device,
        Field::Isolation,
        Field::QueueBase,
        Field::VfState,
        Field::Major,
        Field::Minor,
        Field::Private,
        Field::AeqIntMask,
        Field::EqIntMask,
        Field::IfcIntSource,
        Field::IfcIntMask,
        Field::IfcIntSet,
        Field::PageSize,
        Field::EqcHead,
        Field::EqcBase,
        Field::EqcDepth,
        Field::AeqcBase,
        Field::EqeDma,
        Field::AeqeDma,
        Field::SqcDma,
        Field::CqcDma,
    ];

    /// Whether a stream has our private extension, and promises in it that more follows the match
    /// data.
    pub(super) fn promises(stream: &[u8]) -> bool {
        Field::Private
            .of(stream)
            .is_some_and(|private| private >> 32 == SIGNATURE && private & 0xffff == 2)
    }

    /// The bytes of the stream that it has.
    pub(super) fn bytes(self) -> std::ops::Range<usize> {
        match self {
            Field::Magic => stream_layout::MAGIC,
            Field::QueueCount => stream_layout::QUEUE_COUNT,
            Field::Device => stream_layout::DEVICE,
            Field::Isolation => stream_layout::ISOLATION,
            Field::QueueBase => stream_layout::QUEUE_BASE,
            Field::VfState => stream_layout::VF_STATE,
            Field::Major => stream_layout::MAJOR_VERSION,
            Field::Minor => stream_layout::MINOR_VERSION,
            Field::Private => stream_layout::PRIVATE,
            Field::AeqIntMask => stream_layout::AEQ_INT_MASK,
            Field::EqIntMask => stream_layout::EQ_INT_MASK,
            Field::IfcIntSource => stream_layout::IFC_INT_SOURCE,
            Field::IfcIntMask => stream_layout::IFC_INT_MASK,
            Field::IfcIntSet => stream_layout::IFC_INT_SET,
            Field::PageSize => stream_layout::PAGE_SIZE,
            Field::EqcHead => word(&stream_layout::EQC, 0),
            Field::EqcBase => word(&stream_layout::EQC, 1),
            Field::EqcDepth => word(&stream_layout::EQC, 6),
            Field::AeqcBase => word(&stream_layout::AEQC, 1),
            Field::EqeDma => stream_layout::EQE_DMA,
            Field::AeqeDma => stream_layout::AEQE_DMA,
            Field::SqcDma => stream_layout::SQC_DMA,
            Field::CqcDma => stream_layout::CQC_DMA,
        }
    }

    /// The field's value in a stream, if it is there.
    pub(super) fn of(self, stream: &[u8]) -> Option<u64> {
        let bytes = stream.get(self.bytes())?;
        let number = bytes.iter().rev();
        Some(number.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn set(self, stream: &mut [u8], value: u64) {
        let range = self.bytes();
        let size = range.len();
        if let Some(bytes) = stream.get_mut(range) {
            bytes.copy_from_slice(&value.to_le_bytes()[..size]);
        }
    }
}

/// A stream, with one field changed or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stream {
    pub(super) base: Base,
    pub(super) change: Option<(Field, u64)>,
}

/// Whether this is the beginning of a stream of version 1.
pub(super) fn is_version_1(stream: &[u8]) -> bool {
    Field::Magic.of(stream) == Some(MAGIC_V1)
}

/// The streams that the changes are made to.
pub(super) struct Bases {
    pub(super) c_full: Vec<u8>,
    pub(super) c_match: Vec<u8>,
    pub(super) ours_full: Vec<u8>,
    pub(super) ours_match: Vec<u8>,
}

impl Bases {
    /// The bytes of a stream.
    fn bytes(&self, stream: Stream) -> Vec<u8> {
        let mut bytes = match stream.base {
            Base::CFull => self.c_full.clone(),
            Base::CMatch => self.c_match.clone(),
            Base::OursFull => self.ours_full.clone(),
            Base::OursMatch => self.ours_match.clone(),
            Base::Version1 => {
                let mut bytes = self.c_full.clone();
                Field::Magic.set(&mut bytes, MAGIC_V1);
                Field::Major.set(&mut bytes, 0);
                bytes
            }
        };
        if let Some((field, value)) = stream.change {
            field.set(&mut bytes, value);
        }
        bytes
    }

    /// So many bytes of a stream from there on, zeros behind its end.
    pub(super) fn piece(&self, stream: Stream, from: usize, length: usize) -> Vec<u8> {
        let bytes = self.bytes(stream).into_iter().skip(from);
        bytes.chain(std::iter::repeat(0)).take(length).collect()
    }
}
