// SPDX-License-Identifier: GPL-2.0

//! The migration stream: one structure, whose first [`MATCH_SIZE`] bytes can be sent ahead.
//!
//! The layout is that of the C driver `hisi_acc_vfio_pci` on a little endian machine. The version,
//! 1.0, is the C driver's as well, since mainline assigns the versions. The C driver sends two
//! reserved words of the match data as 0 and ignores them. This driver puts a private extension
//! there. Its signature distinguishes it from a field that a later C driver may put in the same
//! place:
//!
//! - whether the rest of the structure follows the match data. Otherwise a source that dies after
//!   the match data looks like one whose guest has no driver. This still happens if the guest loads
//!   its driver after the match data were sent.
//! - the hardware version. A guest's driver communicates with the PF in the way of the hardware
//!   version that it found when it was loaded.
//!
//! Version 1 of the stream, which the C driver sent before Linux 6.16 and before the stable kernels
//! of June 2025 (6.1, 6.6, 6.12), has a different magic, no version number, and event queue
//! addresses made from the wrong words of their contexts. Such a stream is accepted, with the
//! addresses taken from the contexts. It is never sent, and the C driver of that time accepts no
//! other: a guest can migrate from such a host, but not to it.

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

/// Size of the whole structure.
pub(crate) const SIZE: usize = 176;
/// Size of the match data, which decide whether two devices match.
pub(crate) const MATCH_SIZE: usize = 40;
/// Size of the part before the addresses at the end.
pub(crate) const REGISTERS_SIZE: usize = core::mem::offset_of!(Image, eqe_dma);

/// Magic of a stream of version 1.
pub(crate) const MAGIC_V1: u64 = 0xcdcd_cdcd_feed_aacc;
/// Magic of a stream of version 2.
pub(crate) const MAGIC_V2: u64 = 0xaacc_feed_deca_dede;
/// Major version, which both ends must share.
pub(crate) const MAJOR: u16 = 1;
/// Minor version that is sent. The peer's is ignored, as in the C driver.
pub(crate) const MINOR: u16 = 0;

/// [`Image::signature`] of the private extension.
const SIGNATURE: u32 = 0x8ac3_55e1;

/// [`Image::vf_state`]: the guest's driver has set the function up.
pub(crate) const READY: u32 = 0;
/// [`Image::vf_state`]: the guest has no driver for the function.
pub(crate) const NOT_READY: u32 = 1;

/// What a sender promises about the rest of the structure, in [`Image::promise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Promise {
    /// Nothing follows the match data.
    Nothing = 1,
    /// The rest follows the match data.
    State = 2,
}

/// The structure as it is sent.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Image {
    pub(crate) magic: U64,
    /// Queue pairs that the function owns.
    pub(crate) queue_count: U32,
    /// PCI device ID of the VF.
    pub(crate) device: U32,
    /// Doorbell isolation of the PF.
    pub(crate) isolation: U32,
    /// First queue pair of the function, as numbered by the PF.
    pub(crate) queue_base: U32,
    /// [`READY`] or [`NOT_READY`]. Meaningless if only the match data were sent.
    pub(crate) vf_state: U32,
    pub(crate) major: U16,
    pub(crate) minor: U16,
    /// Private extension: a [`Promise`].
    promise: U16,
    /// Private extension: the hardware version, `enum qm_hw_ver`.
    hardware: U16,
    /// Private extension: [`SIGNATURE`], if the extension is present.
    signature: U32,

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

/// The data of a session: nothing, the match data, the whole structure, or a part of it.
pub(crate) type Data = vfio::migration::Data<Image>;

impl Image {
    /// Returns the part of the structure before the addresses.
    pub(crate) fn registers(&self) -> &[u8] {
        &self.as_bytes()[..REGISTERS_SIZE]
    }

    /// Returns whether this is a stream of version 1.
    pub(crate) fn is_v1(&self) -> bool {
        self.magic.get() == MAGIC_V1
    }

    /// Sets the private extension.
    pub(crate) fn set_extension(&mut self, promise: Promise, hardware: u16) {
        self.promise.set(promise as u16);
        self.hardware.set(hardware);
        self.signature.set(SIGNATURE);
    }

    fn has_extension(&self) -> bool {
        !self.is_v1() && self.signature.get() == SIGNATURE
    }

    /// Returns whether the sender has promised that the rest of the structure follows the match
    /// data.
    pub(crate) fn promises_state(&self) -> bool {
        self.has_extension() && self.promise.get() == Promise::State as u16
    }

    /// Returns the hardware version of the sender, if it has sent one.
    pub(crate) fn hardware(&self) -> Option<u16> {
        self.has_extension().then(|| self.hardware.get())
    }

    /// Returns the addresses of the EQ and of the AEQ. The contexts must have been received.
    pub(crate) fn event_queue_addresses(&self) -> (u64, u64) {
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

/// Returns the address in words 1 and 2 of an event queue's context.
pub(crate) fn queue_address(context: &[u32; 7]) -> u64 {
    u64::from(context[2]) << 32 | u64::from(context[1])
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_stream)]
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
        assert_eq!(image.promise.get(), 0x2120);
        assert_eq!(image.hardware.get(), 0x2322);
        assert_eq!(image.signature.get(), 0x2726_2524);
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
        assert_eq!(image.event_queue_addresses(), (7, 8));
        image.magic.set(MAGIC_V1);
        assert_eq!(image.event_queue_addresses(), (0x22_1111_0000, 0x3333_0000));
    }

    #[test]
    fn extension_needs_its_signature() {
        let mut image = Image::new_zeroed();
        image.magic.set(MAGIC_V2);
        image.set_extension(Promise::State, 0x30);
        assert!(image.promises_state());
        assert_eq!(image.hardware(), Some(0x30));
        image.set_extension(Promise::Nothing, 0x30);
        assert!(!image.promises_state());

        image.set_extension(Promise::State, 0x30);
        image.signature.set(0);
        assert!(!image.promises_state());
        assert_eq!(image.hardware(), None);

        image.set_extension(Promise::State, 0x30);
        image.magic.set(MAGIC_V1);
        assert!(!image.promises_state());
        assert_eq!(image.hardware(), None);
    }

    #[test]
    fn queue_address_takes_low_word_first() {
        assert_eq!(
            queue_address(&[0, 0x1111_2222, 0x3333_4444, 0, 0, 0, 0]),
            0x3333_4444_1111_2222
        );
    }
}
