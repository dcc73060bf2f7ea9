// SPDX-License-Identifier: GPL-2.0

//! Items of this crate and of others that most variant drivers use, in addition to
//! [`kernel::prelude`].

#[doc(no_inline)]
pub use crate::{
    device::{
        CoreDevice,
        Device,
        Operations, //
    },
    device_id::{
        DeviceId,
        IdTable, //
    },
    dirty_tracking::{
        DirtyTracking,
        LoggingPolicy, //
    },
    io::BarMap,
    migration::{
        Data,
        Failure,
        Migrate,
        Migration,
        StateMachine,
        StreamFormat, //
    }, //
};
#[doc(no_inline)]
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
#[doc(no_inline)]
pub use zerocopy::little_endian::{
    U32,
    U64, //
};
#[doc(no_inline)]
pub use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};
