// SPDX-License-Identifier: GPL-2.0

//! What is kept of a session when it is over, for debugfs.

use crate::session::{
    Data,
    Id,
    ResumeSession,
    SaveSession, //
};
use kernel::sync::Arc;
use vfio::data_file::Readable;

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

/// A session of either kind.
#[derive(Clone)]
pub(crate) enum Session {
    Save(Arc<Readable<SaveSession>>),
    Resume(Arc<ResumeSession>),
}

/// A session that is over.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) session: Session,
    pub(crate) origin: Origin,
}

impl Record {
    /// The session's number.
    pub(crate) fn id(&self) -> Id {
        match &self.session {
            Session::Save(session) => session.id,
            Session::Resume(session) => session.id,
        }
    }

    /// Which way its data went.
    pub(crate) fn role(&self) -> Role {
        match &self.session {
            Session::Save(_) => Role::Save,
            Session::Resume(_) => Role::Resume,
        }
    }

    /// Its data.
    pub(crate) fn data(&self) -> Data {
        match &self.session {
            Session::Save(session) => session.data(),
            Session::Resume(session) => session.data(),
        }
    }

    /// Bytes of its data.
    pub(crate) fn len(&self) -> usize {
        match &self.session {
            Session::Save(session) => session.len(),
            Session::Resume(session) => session.len(),
        }
    }
}
