// SPDX-License-Identifier: GPL-2.0

//! What is kept of a session when it is over, for debugfs.

use crate::{
    history::Id,
    matching::LocalDevice,
    stream::{
        self,
        Data, //
    },
};
use vfio::migration::{
    Direction,
    Session, //
};

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

/// Name of a role in debugfs.
pub(crate) const fn role_name(role: Direction) -> &'static str {
    match role {
        Direction::Save => "save",
        Direction::Resume => "resume",
    }
}

/// A session that is over.
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) origin: Origin,
    pub(crate) session: Session<LocalDevice>,
    /// The function was reset after the session. Its guest may use the memory, which the data have
    /// the addresses of, for something else by now.
    pub(crate) outdated: bool,
}

impl Record {
    /// Its data.
    pub(crate) fn data(&self) -> Data {
        self.session.data()
    }

    /// Whether its data can be all of a stream.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.session.bytes(), stream::SIZE | stream::MATCH_SIZE)
    }
}
