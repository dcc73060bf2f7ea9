// SPDX-License-Identifier: GPL-2.0

//! Why a stream was refused, as it is told in debugfs and in trace events.

use kernel::{
    fmt,
    prelude::*, //
};

/// A field of the stream that can be refused.
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
    /// Its name in debugfs.
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

/// Whether `field` is what it must be.
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
