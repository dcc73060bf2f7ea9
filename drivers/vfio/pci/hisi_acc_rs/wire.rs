// SPDX-License-Identifier: GPL-2.0

//! The migration stream: one structure, of which the first [`MATCH_SIZE`] bytes can
//! travel ahead.
//!
//! The layout is that of the C driver `hisi_acc_vfio_pci` on a little endian machine. Two fields
//! that it sends as 0 and ignores tell a peer of our own what it cannot tell: `minor` is 1, and
//! the first reserved word says whether the rest of the structure is going to follow. Without
//! that, a source that dies after the match data looks like one whose guest has no driver. It
//! still does if the guest loads its driver while the match data are already on their way.
//!
//! Before Linux 6.16 the C driver sent version 1: without a version number behind the magic, and
//! with addresses of the event queues that are made of the wrong words of their contexts. Such a
//! stream is taken, and the addresses from the contexts. It is never sent, and the C driver of
//! that time takes no other: a guest can come from such a host, but not go to it.

use kernel::prelude::*;
use zerocopy::byteorder::little_endian::{
    U16,
    U32,
    U64, //
};
use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};

/// Bytes of the whole structure.
pub(crate) const SIZE: usize = 176;
/// Bytes that decide whether two devices match.
pub(crate) const MATCH_SIZE: usize = 40;
/// Bytes before the addresses at the end.
pub(crate) const REGISTERS_SIZE: usize = core::mem::offset_of!(Image, eqe_dma);

/// Start of a stream of version 1.
pub(crate) const MAGIC_V1: u64 = 0xcdcd_cdcd_feed_aacc;
/// Start of a stream of version 2.
pub(crate) const MAGIC_V2: u64 = 0xaacc_feed_deca_dede;
/// Version that both ends must have.
pub(crate) const MAJOR: u16 = 1;
/// Version from which on [`Image::follows`] has a meaning.
pub(crate) const MINOR: u16 = 1;

/// [`Image::vf_state`]: the guest's driver has set the function up.
pub(crate) const READY: u32 = 0;
/// [`Image::vf_state`]: the guest has no driver for the function.
pub(crate) const NOT_READY: u32 = 1;

/// [`Image::follows`]: nothing follows the match data.
pub(crate) const FOLLOWS_NOTHING: u32 = 1;
/// [`Image::follows`]: the rest of the structure follows the match data.
pub(crate) const FOLLOWS_STATE: u32 = 2;

/// The structure as it travels.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Image {
    pub(crate) magic: U64,
    /// Queue pairs that the function owns.
    pub(crate) queue_count: U32,
    /// PCI device id of the VF.
    pub(crate) device: U32,
    /// Doorbell isolation of the PF.
    pub(crate) isolation: U32,
    /// First queue pair of the function, in the PF's count.
    pub(crate) queue_base: U32,
    /// [`READY`] or [`NOT_READY`]. Sent ahead it means nothing.
    pub(crate) vf_state: U32,
    pub(crate) major: U16,
    pub(crate) minor: U16,
    /// What the sender promises; 0 from a peer with a lower `minor`.
    pub(crate) follows: U32,
    pub(crate) reserved: U32,

    pub(crate) aeq_int_mask: U32,
    pub(crate) eq_int_mask: U32,
    pub(crate) ifc_int_source: U32,
    pub(crate) ifc_int_mask: U32,
    pub(crate) ifc_int_set: U32,
    pub(crate) page_size: U32,
    pub(crate) eqc: [U32; 7],
    pub(crate) aeqc: [U32; 7],
    pub(crate) reserved_regs: [U32; 5],
    pub(crate) padding: U32,
    /// Address of the EQ, as in `eqc`.
    pub(crate) eqe_dma: U64,
    /// Address of the AEQ, as in `aeqc`.
    pub(crate) aeqe_dma: U64,
    /// Address of the table of SQ contexts.
    pub(crate) sqc_dma: U64,
    /// Address of the table of CQ contexts.
    pub(crate) cqc_dma: U64,
}

const _: () = {
    assert!(size_of::<Image>() == SIZE);
    assert!(core::mem::offset_of!(Image, aeq_int_mask) == MATCH_SIZE);
    assert!(core::mem::offset_of!(Image, major) == 28);
    assert!(core::mem::offset_of!(Image, eqc) == 64);
    assert!(core::mem::offset_of!(Image, aeqc) == 92);
    assert!(REGISTERS_SIZE == 144);
    assert!(core::mem::offset_of!(Image, cqc_dma) == 168);
};

/// The data of a session: nothing, the match data, all of the structure, or a part of it.
pub(crate) type Data = vfio::migration::Data<Image>;

impl Image {
    /// The part of the structure that is no address.
    pub(crate) fn registers(&self) -> &[u8] {
        &self.as_bytes()[..REGISTERS_SIZE]
    }

    /// Whether this is a stream of version 1.
    pub(crate) fn is_v1(&self) -> bool {
        self.magic.get() == MAGIC_V1
    }

    /// Whether the sender has promised that the rest of the structure follows the match data.
    pub(crate) fn promises_state(&self) -> bool {
        !self.is_v1() && self.minor.get() >= MINOR && self.follows.get() == FOLLOWS_STATE
    }

    /// Addresses of the EQ and of the AEQ. The contexts must have come.
    pub(crate) fn event_queues(&self) -> (u64, u64) {
        if self.is_v1() {
            (
                queue_address(&self.eqc.map(U32::get)),
                queue_address(&self.aeqc.map(U32::get)),
            )
        } else {
            (self.eqe_dma.get(), self.aeqe_dma.get())
        }
    }
}

/// The address in words 1 and 2 of an event queue's context.
pub(crate) fn queue_address(context: &[u32; 7]) -> u64 {
    u64::from(context[2]) << 32 | u64::from(context[1])
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_wire)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn fields_are_where_the_c_driver_has_them() {
        let mut bytes = [0u8; SIZE];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
        let image: Image = zerocopy::transmute!(bytes);

        assert_eq!(image.magic.get(), 0x0706_0504_0302_0100);
        assert_eq!(image.queue_count.get(), 0x0b0a_0908);
        assert_eq!(image.device.get(), 0x0f0e_0d0c);
        assert_eq!(image.isolation.get(), 0x1312_1110);
        assert_eq!(image.queue_base.get(), 0x1716_1514);
        assert_eq!(image.vf_state.get(), 0x1b1a_1918);
        assert_eq!(image.major.get(), 0x1d1c);
        assert_eq!(image.minor.get(), 0x1f1e);
        assert_eq!(image.aeq_int_mask.get(), 0x2b2a_2928);
        assert_eq!(image.page_size.get(), 0x3f3e_3d3c);
        assert_eq!(image.eqc[6].get(), 0x5b5a_5958);
        assert_eq!(image.aeqc[0].get(), 0x5f5e_5d5c);
        assert_eq!(image.eqe_dma.get(), 0x9796_9594_9392_9190);
        assert_eq!(image.cqc_dma.get(), 0xafae_adac_abaa_a9a8);
        assert_eq!(image.as_bytes(), bytes);
        assert_eq!(image.registers(), &bytes[..REGISTERS_SIZE]);
    }

    #[test]
    fn addresses_of_version_1_are_those_in_the_contexts() {
        let mut image = Image::new_zeroed();
        image.eqc[1].set(0x1111_0000);
        image.eqc[2].set(0x22);
        image.aeqc[1].set(0x3333_0000);
        image.eqe_dma.set(7);
        image.aeqe_dma.set(8);

        image.magic.set(MAGIC_V2);
        assert_eq!(image.event_queues(), (7, 8));
        image.magic.set(MAGIC_V1);
        assert_eq!(image.event_queues(), (0x22_1111_0000, 0x3333_0000));
    }

    #[test]
    fn promise_needs_a_version_that_can_make_it() {
        let mut image = Image::new_zeroed();
        image.magic.set(MAGIC_V2);
        image.follows.set(FOLLOWS_STATE);
        assert!(!image.promises_state());
        image.minor.set(MINOR);
        assert!(image.promises_state());
        image.magic.set(MAGIC_V1);
        assert!(!image.promises_state());
        image.magic.set(MAGIC_V2);
        image.follows.set(FOLLOWS_NOTHING);
        assert!(!image.promises_state());
    }

    #[test]
    fn queue_address_takes_low_word_first() {
        assert_eq!(
            queue_address(&[0, 0x1111_2222, 0x3333_4444, 0, 0, 0, 0]),
            0x3333_4444_1111_2222
        );
    }
}
