// SPDX-License-Identifier: GPL-2.0

//! What is kept of a session when it is over, for debugfs.

use crate::{
    matching::Reject,
    session::{
        Data,
        Id, //
    },
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

/// What is kept: since the last open, but for the numbering.
pub(crate) struct History {
    last_id: Id,
    /// The last session that had any data.
    pub(crate) last: Option<Record>,
    /// The last session whose data were refused, and why.
    pub(crate) refused: Option<(Id, Reject)>,
}

impl History {
    /// No session yet.
    pub(crate) const EMPTY: Self = Self {
        last_id: 0,
        last: None,
        refused: None,
    };

    /// Number for a new session.
    pub(crate) fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    /// Keeps a session, unless it had no data.
    pub(crate) fn keep(&mut self, record: Record) {
        if !record.data.as_slice().is_empty() {
            self.last = Some(record);
        }
    }

    /// Forgets what the last owner did: the next one must not see it.
    pub(crate) fn forget(&mut self) {
        self.last = None;
        self.refused = None;
    }
}
