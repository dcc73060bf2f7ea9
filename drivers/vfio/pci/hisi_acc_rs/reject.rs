// SPDX-License-Identifier: GPL-2.0

//! The reason why a stream is refused, as shown in debugfs and trace events.

use kernel::{
    fmt,
    prelude::*, //
};

/// A field of the stream that can be the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Magic,
    Major,
    Device,
    QueueCount,
    Isolation,
    Hardware,
    Length,
    VfState,
    PageSize,
    IfcIntSet,
}

impl Field {
    /// Returns the name that debugfs shows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Major => "major_version",
            Self::Device => "device",
            Self::QueueCount => "queue_count",
            Self::Isolation => "isolation",
            Self::Hardware => "hardware_version",
            Self::Length => "length",
            Self::VfState => "vf_state",
            Self::PageSize => "page_size",
            Self::IfcIntSet => "ifc_int_set",
        }
    }
}

/// The reason why a stream cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The first field with a wrong value.
    pub(crate) field: Field,
    /// The required value, or the largest one allowed.
    pub(crate) expected: u64,
    /// The actual value.
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

/// Checks that `field` has the expected value.
pub(crate) fn check_field(field: Field, expected: u64, got: u64) -> Result<(), Reject> {
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
