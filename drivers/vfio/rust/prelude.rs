// SPDX-License-Identifier: GPL-2.0

//! What most variant drivers use, of this crate and of others, beside [`kernel::prelude`].

pub use crate::{
    device::{
        Core,
        Device,
        Operations, //
    },
    io::BarMap,
    migration::{
        Data,
        Expect,
        Failure,
        Machine,
        Migrate,
        Migration, //
    },
    pci::{
        DeviceId,
        IdTable, //
    }, //
};
pub use kernel::{
    device::Bound,
    io::{
        poll::read_poll_timeout,
        register,
        Io, //
    },
    pci,
    time::Delta, //
};
pub use zerocopy::little_endian::{
    U16,
    U32,
    U64, //
};
pub use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};
