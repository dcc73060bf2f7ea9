// SPDX-License-Identifier: GPL-2.0

//! Errors of a request.

use crate::host::DmaFault;

/// Error type of a request that was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Error {
    /// The descriptor requests an operation that the engine does not support.
    Descriptor = 0x01,
    /// A length is not valid for the algorithm.
    Length = 0x02,
    /// A memory access was rejected, or a list is shorter than the data.
    Memory = 0x03,
}

impl From<DmaFault> for Error {
    fn from(_: DmaFault) -> Self {
        Self::Memory
    }
}
