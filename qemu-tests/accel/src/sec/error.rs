// SPDX-License-Identifier: GPL-2.0

//! How a request fails.

use crate::host::DmaFault;

/// Error type of a request that was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Error {
    /// The descriptor asks for what the engine does not do.
    Descriptor = 0x01,
    /// A length is not one that the algorithm can have.
    Length = 0x02,
    /// Memory was refused, or a list is shorter than the data.
    Memory = 0x03,
}

impl From<DmaFault> for Error {
    fn from(_: DmaFault) -> Self {
        Self::Memory
    }
}
