// SPDX-License-Identifier: GPL-2.0

//! What is kept of a session when it is over, for debugfs.

use crate::session::{
    Data,
    Id, //
};

/// Which way the data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Out of the device.
    Save,
    /// Into the device.
    Resume,
}

impl Role {
    /// Its name in debugfs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Resume => "resume",
        }
    }
}

/// Who had the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Whoever holds the device file.
    User,
    /// A command in debugfs.
    Debugfs,
}

impl Origin {
    /// Its name in debugfs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Debugfs => "debugfs",
        }
    }
}

/// A session that is over.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) role: Role,
    pub(crate) origin: Origin,
    pub(crate) data: Data,
}
