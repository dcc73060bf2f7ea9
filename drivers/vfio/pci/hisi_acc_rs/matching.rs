// SPDX-License-Identifier: GPL-2.0

//! From bytes of a stranger to something that may be loaded.
//!
//! A stream is parsed once it is complete, and becomes a [`Verified`] or a [`Reject`]. Only a
//! [`Verified`] can be loaded, so what is not in it cannot reach the hardware. The match data
//! are looked at as soon as they are there, to refuse early; that look decides nothing else.

use crate::{
    hal::EventContexts,
    wire::{
        self,
        Data,
        Image, //
    },
};
use core::num::NonZero;
use kernel::{
    fmt,
    prelude::*, //
};
use vfio::migration::Expect;
use zerocopy::byteorder::little_endian::U32;

/// What the device of this host is, read when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// PCI device id of the VF.
    pub(crate) device: u16,
    /// Queue pairs of the VF.
    pub(crate) queue_count: u16,
    /// Doorbell isolation of the PF.
    pub(crate) isolation: u32,
}

/// A field of the stream that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Magic,
    Major,
    Device,
    QueueCount,
    Isolation,
    Length,
    VfState,
    PageSize,
    IfcIntSet,
}

impl Field {
    /// Its name in debugfs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Major => "major_version",
            Self::Device => "device",
            Self::QueueCount => "queue_count",
            Self::Isolation => "isolation",
            Self::Length => "length",
            Self::VfState => "vf_state",
            Self::PageSize => "page_size",
            Self::IfcIntSet => "ifc_int_set",
        }
    }
}

/// Why a stream cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The first field that is not as it must be.
    pub(crate) field: Field,
    /// What it must be, or at most be.
    pub(crate) expected: u64,
    /// What it is.
    pub(crate) got: u64,
}

impl From<Reject> for Error {
    fn from(_: Reject) -> Self {
        EINVAL
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} expected {:#x} got {:#x}",
            self.field.name(),
            self.expected,
            self.got
        )
    }
}

fn check(field: Field, expected: u64, got: u64) -> Result<(), Reject> {
    if expected == got {
        Ok(())
    } else {
        Err(Reject {
            field,
            expected,
            got,
        })
    }
}

impl Expected {
    /// What the match data must say: the fields that are compared, in that order.
    pub(crate) fn fields(&self) -> [(Field, u64); 5] {
        [
            (Field::Magic, wire::MAGIC_V2),
            (Field::Major, wire::MAJOR.into()),
            (Field::Device, self.device.into()),
            (Field::QueueCount, self.queue_count.into()),
            (Field::Isolation, self.isolation.into()),
        ]
    }
}

impl Expect for Expected {
    type Image = Image;
    type Verified = Verified;
    type Reject = Reject;

    const HEAD: usize = wire::MATCH_SIZE;

    /// Compares the match data of `image` with this device. Version 1 is known by its magic and
    /// has no number.
    fn check(&self, image: &Image) -> Result<(), Reject> {
        let got = [
            image.magic.get(),
            image.major.get().into(),
            image.device.get().into(),
            image.queue_count.get().into(),
            image.isolation.get().into(),
        ];
        let known = if image.is_v1() { 2 } else { 0 };
        self.fields()
            .into_iter()
            .zip(got)
            .skip(known)
            .try_for_each(|((field, expected), got)| check(field, expected, got))
    }

    fn verify(&self, data: &Data) -> Result<Verified, Reject> {
        Verified::parse(data, self)
    }
}

/// Page size of a function, as its register encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum PageSize {
    Size4K = 0,
    Size16K = 1,
    Size64K = 2,
}

impl PageSize {
    fn parse(value: u32) -> Result<Self, Reject> {
        match value {
            0 => Ok(Self::Size4K),
            1 => Ok(Self::Size16K),
            2 => Ok(Self::Size64K),
            _ => Err(Reject {
                field: Field::PageSize,
                expected: Self::Size64K as u64,
                got: value.into(),
            }),
        }
    }
}

/// State of a function whose driver has set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DriverState {
    pub(crate) aeq_int_mask: u32,
    pub(crate) eq_int_mask: u32,
    pub(crate) isolation: u32,
    pub(crate) page_size: PageSize,
    pub(crate) events: EventContexts,
    pub(crate) sqc: NonZero<u64>,
    pub(crate) cqc: NonZero<u64>,
}

/// A stream that fits this device and that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The guest has no driver for the function: there is nothing to load.
    NoDriver,
    /// The function's state.
    Driver(DriverState),
}

impl Verified {
    /// Parses `data` for the device `expected`.
    fn parse(data: &Data, expected: &Expected) -> Result<Self, Reject> {
        let len = data.as_slice().len();
        let short = |expected: usize| Reject {
            field: Field::Length,
            expected: expected as u64,
            got: len as u64,
        };
        if len < wire::MATCH_SIZE {
            return Err(short(wire::MATCH_SIZE));
        }

        let image = data.image();
        expected.check(image)?;

        if len < wire::SIZE {
            // A peer of our own says whether this is all; the C driver cannot.
            return if len == wire::MATCH_SIZE && !image.promises_state() {
                Ok(Self::NoDriver)
            } else {
                Err(short(wire::SIZE))
            };
        }

        match image.vf_state.get() {
            wire::READY => {}
            wire::NOT_READY => return Ok(Self::NoDriver),
            other => return Err(Self::bad_state(other)),
        }
        // Without its queues a function is not set up, whatever it says of itself.
        let (eq, aeq) = image.event_queues();
        let (Some(sqc), Some(cqc), Some(_), Some(_)) = (
            NonZero::new(image.sqc_dma.get()),
            NonZero::new(image.cqc_dma.get()),
            NonZero::new(eq),
            NonZero::new(aeq),
        ) else {
            return Ok(Self::NoDriver);
        };
        // The source waited until its messages were taken, and a 1 would send one here.
        check(Field::IfcIntSet, 0, image.ifc_int_set.get().into())?;

        Ok(Self::Driver(DriverState {
            aeq_int_mask: image.aeq_int_mask.get(),
            eq_int_mask: image.eq_int_mask.get(),
            isolation: expected.isolation,
            page_size: PageSize::parse(image.page_size.get())?,
            events: EventContexts {
                eqc: image.eqc.map(U32::get),
                aeqc: image.aeqc.map(U32::get),
            },
            sqc,
            cqc,
        }))
    }

    fn bad_state(got: u32) -> Reject {
        Reject {
            field: Field::VfState,
            expected: wire::NOT_READY.into(),
            got: got.into(),
        }
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_matching)]
mod tests {
    use super::*;
    use zerocopy::{
        byteorder::little_endian::U64,
        FromZeros, //
    };

    const HERE: Expected = Expected {
        device: 0xa251,
        queue_count: 32,
        isolation: 0,
    };

    fn image() -> Image {
        let mut image = Image::new_zeroed();
        image.magic.set(wire::MAGIC_V2);
        image.queue_count.set(32);
        image.device.set(0xa251);
        image.major.set(1);
        image.minor.set(1);
        image.follows.set(wire::FOLLOWS_STATE);
        for dma in [
            &mut image.eqe_dma,
            &mut image.aeqe_dma,
            &mut image.sqc_dma,
            &mut image.cqc_dma,
        ] {
            dma.set(0x1000);
        }
        image
    }

    fn parse(image: Image, len: usize) -> Result<Verified, Reject> {
        HERE.verify(&Data::head(image, len))
    }

    fn refused(image: Image) -> Option<Field> {
        parse(image, wire::SIZE).err().map(|reject| reject.field)
    }

    #[test]
    fn complete_stream_carries_its_values() {
        let mut image = image();
        image.page_size.set(2);
        image.eq_int_mask.set(1);
        image.eqc[6].set(0x107ff);
        image.sqc_dma.set(0x1234_5678_9abc);
        assert!(matches!(
            parse(image, wire::SIZE),
            Ok(Verified::Driver(DriverState {
                page_size: PageSize::Size64K,
                eq_int_mask: 1,
                aeq_int_mask: 0,
                events: EventContexts { eqc: [.., 0x107ff], .. },
                sqc,
                ..
            })) if sqc.get() == 0x1234_5678_9abc
        ));
    }

    #[test]
    fn each_field_of_the_match_data_is_compared() {
        let with = |change: fn(&mut Image)| {
            let mut image = image();
            change(&mut image);
            refused(image)
        };
        assert_eq!(with(|i| i.magic.set(1)), Some(Field::Magic));
        assert_eq!(with(|i| i.major.set(2)), Some(Field::Major));
        assert_eq!(with(|i| i.minor.set(9)), None);
        assert_eq!(with(|i| i.device.set(0xa256)), Some(Field::Device));
        assert_eq!(with(|i| i.queue_count.set(33)), Some(Field::QueueCount));
        assert_eq!(with(|i| i.isolation.set(1)), Some(Field::Isolation));
        assert_eq!(with(|i| i.queue_base.set(77)), None);
    }

    #[test]
    fn stream_of_version_1_is_taken_by_its_contexts() {
        let mut image = image();
        image.magic.set(wire::MAGIC_V1);
        image.major.set(0);
        image.minor.set(0);
        image.follows.set(0);
        assert_eq!(parse(image, wire::SIZE), Ok(Verified::NoDriver));
        assert_eq!(parse(image, wire::MATCH_SIZE), Ok(Verified::NoDriver));

        image.eqc[1].set(0x2000);
        image.aeqc[2].set(1);
        image.eqe_dma.set(0);
        image.aeqe_dma.set(0);
        assert!(matches!(
            parse(image, wire::SIZE),
            Ok(Verified::Driver(DriverState {
                events: EventContexts {
                    eqc: [_, 0x2000, ..],
                    aeqc: [_, _, 1, ..]
                },
                ..
            }))
        ));

        image.queue_count.set(31);
        assert_eq!(refused(image), Some(Field::QueueCount));
    }

    #[test]
    fn numbers_for_the_hardware_are_bounded() {
        let with = |change: fn(&mut Image)| {
            let mut image = image();
            change(&mut image);
            refused(image)
        };
        assert_eq!(with(|i| i.page_size.set(3)), Some(Field::PageSize));
        assert_eq!(with(|i| i.vf_state.set(2)), Some(Field::VfState));
        assert_eq!(with(|i| i.ifc_int_set.set(1)), Some(Field::IfcIntSet));
    }

    #[test]
    fn truncated_stream_is_refused() {
        for len in [0, 39, 41, 175] {
            let reject = parse(image(), len).err();
            assert_eq!(reject.map(|r| r.field), Some(Field::Length));
            assert_eq!(reject.map(|r| r.got), Some(len as u64));
        }
    }

    #[test]
    fn match_data_alone_are_complete_unless_more_was_promised() {
        let mut image = image();
        assert_eq!(
            parse(image, wire::MATCH_SIZE).err().map(|r| r.field),
            Some(Field::Length)
        );
        image.follows.set(wire::FOLLOWS_NOTHING);
        assert_eq!(parse(image, wire::MATCH_SIZE), Ok(Verified::NoDriver));
        image.follows.set(0);
        image.minor.set(0);
        assert_eq!(parse(image, wire::MATCH_SIZE), Ok(Verified::NoDriver));
    }

    #[test]
    fn function_without_queues_has_no_driver() {
        fn zero(dma: &mut U64) {
            dma.set(0);
        }
        for change in [
            (|i| zero(&mut i.eqe_dma)) as fn(&mut Image),
            |i| zero(&mut i.aeqe_dma),
            |i| zero(&mut i.sqc_dma),
            |i| zero(&mut i.cqc_dma),
        ] {
            let mut image = image();
            change(&mut image);
            assert_eq!(parse(image, wire::SIZE), Ok(Verified::NoDriver));
        }
    }
}
