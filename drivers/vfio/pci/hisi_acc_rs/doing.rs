// SPDX-License-Identifier: GPL-2.0

//! What an open device is doing, one value for each state of the protocol.

use crate::{
    history::History,
    matching::Reject,
    record::{
        Origin,
        Record,
        Session, //
    },
    session::{
        Id,
        ResumeSession,
        SaveSession, //
    },
    trace, //
};
use kernel::{
    pci,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    data_file::Readable,
    migration::{
        MigArc,
        State, //
    }, //
};

/// Why a device is in ERROR.
#[derive(Clone, Copy)]
pub(crate) struct Failed {
    /// The arc that ended there.
    pub(crate) arc: MigArc,
    /// What went wrong.
    pub(crate) error: Error,
}

/// What an open device is doing.
///
/// In the P2P states it does what it does in those without: the accelerators are integrated
/// endpoints without a path to one another, so there is nothing to stop.
pub(crate) enum Doing {
    Running {
        p2p: bool,
    },
    PreCopy {
        session: Arc<Readable<SaveSession>>,
        p2p: bool,
    },
    /// The function is paused.
    Stop,
    /// The function is paused.
    StopCopy(Arc<Readable<SaveSession>>),
    /// The function is paused.
    Resuming(Arc<ResumeSession>),
    /// Only a reset leads out.
    Failed(Failed),
}

impl Doing {
    /// As after a reset.
    pub(crate) const RUNNING: Self = Self::Running { p2p: false };

    /// The state of the protocol that this is.
    pub(crate) fn state(&self) -> State {
        match self {
            Self::Running { p2p: false } => State::Running,
            Self::Running { p2p: true } => State::RunningP2p,
            Self::PreCopy { p2p: false, .. } => State::PreCopy,
            Self::PreCopy { p2p: true, .. } => State::PreCopyP2p,
            Self::Stop => State::Stop,
            Self::StopCopy(_) => State::StopCopy,
            Self::Resuming(_) => State::Resuming,
            Self::Failed(_) => State::Error,
        }
    }

    /// The number of the session that goes with this, if there is one.
    pub(crate) fn session(&self) -> Option<Id> {
        match self {
            Self::PreCopy { session, .. } | Self::StopCopy(session) => Some(session.id),
            Self::Resuming(session) => Some(session.id),
            Self::Running { .. } | Self::Stop | Self::Failed(_) => None,
        }
    }

    /// Enters or leaves the P2P state of what goes on otherwise unchanged.
    pub(crate) fn set_p2p(&mut self, now: bool) {
        if let Self::Running { p2p } | Self::PreCopy { p2p, .. } = self {
            *p2p = now;
        }
    }

    /// Ends this, and the session that goes with it.
    pub(crate) fn end(&mut self, next: Self, history: &mut History, pdev: &pci::Device) {
        let session = match core::mem::replace(self, next) {
            Self::PreCopy { session, .. } | Self::StopCopy(session) => {
                session.close();
                Session::Save(session)
            }
            Self::Resuming(session) => {
                if let Some(reject) = session.reject() {
                    refuse(history, pdev, session.id, reject);
                }
                session.close();
                Session::Resume(session)
            }
            Self::Running { .. } | Self::Stop | Self::Failed(_) => return,
        };
        history.end(Record {
            session,
            origin: Origin::User,
        });
    }
}

/// Notes that the data of session `id` are refused; tells it once.
pub(crate) fn refuse(history: &mut History, pdev: &pci::Device, id: Id, reject: Reject) {
    if history.refuse(id, reject) {
        trace::refuse(pdev, id, &reject);
    }
}
