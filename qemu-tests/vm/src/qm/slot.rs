// SPDX-License-Identifier: GPL-2.0

//! The part of the VM's memory that belongs to one request.

use fastrand::Rng;
use linux::ffi;

use super::image::{
    Image, PARAMETERS_SIZE, SLOT, SLOT_BUFFER, SLOT_HEAD, SLOT_PARAMETERS, SLOT_SIZE,
};
use super::layout::{self, Buffer, SGL_ENTRIES, SGL_SIZE};

/// One of a request's two buffers.
#[derive(Clone, Copy)]
pub enum Side {
    /// What goes in.
    Source = 0,
    /// What comes out.
    Destination = 1,
}

/// A request's memory: parameters, a list for each buffer, source, destination. Made by
/// [`Image::slot`].
pub struct Slot<'vm> {
    pub(super) image: &'vm Image,
    pub(super) lists: [usize; 2],
    pub(super) parameters: usize,
    pub(super) source: usize,
    pub(super) destination: usize,
}

impl Image {
    /// The memory of the request in this slot.
    pub fn slot(&self, slot: usize) -> Slot<'_> {
        let start = SLOT + slot * SLOT_SIZE;
        Slot {
            image: self,
            lists: [start, start + SGL_SIZE],
            parameters: start + SLOT_PARAMETERS,
            source: start + SLOT_HEAD,
            destination: start + SLOT_HEAD + SLOT_BUFFER,
        }
    }
}

impl Slot<'_> {
    /// Puts keys and the like into the slot; their address.
    pub fn parameters(&self, bytes: &[u8]) -> u64 {
        assert!(bytes.len() <= PARAMETERS_SIZE, "{} bytes", bytes.len());
        self.image.memory.write(self.parameters, bytes);
        self.image.address(self.parameters)
    }

    /// Puts the input into the slot.
    pub fn source(&self, bytes: &[u8]) -> Buffer {
        assert!(bytes.len() <= SLOT_BUFFER, "{} bytes", bytes.len());
        self.image.memory.write(self.source, bytes);
        Buffer {
            address: self.image.address(self.source),
            length: bytes.len() as u32,
        }
    }

    /// Makes room for an output of `length` bytes. Memory without a result does not look like
    /// one.
    pub fn destination(&self, length: usize) -> Buffer {
        assert!(length <= SLOT_BUFFER, "{length} bytes");
        let memory = &self.image.memory;
        memory.write(self.destination, &[0xa5; 64][..length.min(64)]);
        Buffer {
            address: self.image.address(self.destination),
            length: length as u32,
        }
    }

    /// Writes a scatter-gather list that cuts a buffer at odd places.
    pub fn scatter(&self, side: Side, buffer: Buffer, random: &mut Rng) -> Buffer {
        let mut parts = Vec::new();
        let mut rest = buffer;
        while parts.len() + 1 < SGL_ENTRIES && rest.length > 1 && random.usize(..3) != 0 {
            let length = random.u32(1..rest.length);
            parts.push(Buffer { length, ..rest });
            rest.address += u64::from(length);
            rest.length -= length;
        }
        parts.push(rest);
        let list = self.lists[side as usize];
        self.image.memory.write(list, &layout::sgl(&parts));
        Buffer {
            address: self.image.address(list),
            length: buffer.length,
        }
    }

    /// The first `length` bytes of the output.
    pub fn output(&self, length: usize) -> Vec<u8> {
        ffi::acquire();
        self.image.memory.read(self.destination, length)
    }

    /// Puts an output there, as the device would.
    #[cfg(test)]
    pub fn answer(&self, output: &[u8]) {
        self.image.memory.write(self.destination, output);
    }
}
