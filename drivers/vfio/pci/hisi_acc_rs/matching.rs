// SPDX-License-Identifier: GPL-2.0

//! Validates an untrusted stream and turns it into a state that can be loaded.
//!
//! A complete stream is parsed into a [`Verified`] or a [`Reject`]. Only a [`Verified`] can be
//! loaded, so nothing else can reach the hardware. The match data are also checked as soon as they
//! have been received, so that a mismatch is refused early; nothing else depends on this check.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use crate::{
    qm::registers::EventContexts,
    reject::{
        check_field,
        Field,
        Reject, //
    },
    stream::{
        self,
        Data,
        Image, //
    }, //
};
use core::num::NonZero;
use kernel::prelude::*;
use vfio::migration::StreamFormat;
use zerocopy::byteorder::little_endian::U32;

/// Properties of this host's device, as read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalDevice {
    /// PCI device ID of the VF.
    pub(crate) device: u16,
    /// Number of the VF's queue pairs.
    pub(crate) queue_count: u16,
    /// Doorbell isolation of the PF.
    pub(crate) isolation: u32,
    /// Hardware version, `enum qm_hw_ver`.
    pub(crate) hardware: u16,
}

impl LocalDevice {
    /// Returns the fields of the match data that are compared, in this order, with the required
    /// values.
    pub(crate) fn fields(&self) -> [(Field, u64); 6] {
        [
            (Field::Magic, stream::MAGIC_V2),
            (Field::Major, stream::MAJOR.into()),
            (Field::Device, self.device.into()),
            (Field::QueueCount, self.queue_count.into()),
            (Field::Isolation, self.isolation.into()),
            (Field::Hardware, self.hardware.into()),
        ]
    }
}

#[vtable]
impl StreamFormat for LocalDevice {
    type Image = Image;
    type Verified = Verified;
    type Reject = Reject;

    const HEAD: usize = stream::MATCH_SIZE;

    /// Compares the match data of `image` with this device. Version 1 is identified by its magic
    /// and has no version number. The C driver does not send the hardware version.
    fn check(&self, image: &Image) -> Result<(), Reject> {
        let got = [
            image.magic.get(),
            image.major.get().into(),
            image.device.get().into(),
            image.queue_count.get().into(),
            image.isolation.get().into(),
            image.hardware().unwrap_or(self.hardware).into(),
        ];
        let skipped = if image.is_v1() { 2 } else { 0 };
        self.fields()
            .into_iter()
            .zip(got)
            .skip(skipped)
            .try_for_each(|((field, expected), got)| check_field(field, expected, got))
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

/// State of a function that its driver has set up.
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

/// A complete stream that matches this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The guest has no driver for the function, so there is nothing to load.
    NoDriver,
    /// The function's state.
    Driver(DriverState),
}

impl Verified {
    /// Parses `data` for the device `local_device`.
    fn parse(data: &Data, local_device: &LocalDevice) -> Result<Self, Reject> {
        let len = data.as_slice().len();
        let short = |expected: usize| Reject {
            field: Field::Length,
            expected: expected as u64,
            got: len as u64,
        };
        if len < stream::MATCH_SIZE {
            return Err(short(stream::MATCH_SIZE));
        }

        let image = data.image();
        local_device.check(image)?;

        if len < stream::SIZE {
            // This driver says in the stream whether anything follows; the C driver cannot.
            return if len == stream::MATCH_SIZE && !image.promises_state() {
                Ok(Self::NoDriver)
            } else {
                Err(short(stream::SIZE))
            };
        }

        match image.vf_state.get() {
            stream::READY => {}
            stream::NOT_READY => return Ok(Self::NoDriver),
            other => return Err(Self::bad_state(other)),
        }
        // A function without queues is not set up, even if its state says so.
        let (eq, aeq) = image.event_queue_addresses();
        let (Some(sqc), Some(cqc), Some(_), Some(_)) = (
            NonZero::new(image.sqc_dma.get()),
            NonZero::new(image.cqc_dma.get()),
            NonZero::new(eq),
            NonZero::new(aeq),
        ) else {
            return Ok(Self::NoDriver);
        };
        // The source has waited until its messages were taken. Writing a 1 would send a message
        // here.
        check_field(Field::IfcIntSet, 0, image.ifc_int_set.get().into())?;

        Ok(Self::Driver(DriverState {
            aeq_int_mask: image.aeq_int_mask.get(),
            eq_int_mask: image.eq_int_mask.get(),
            isolation: local_device.isolation,
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
            expected: stream::NOT_READY.into(),
            got: got.into(),
        }
    }
}
