// SPDX-License-Identifier: GPL-2.0

//! What an open device is doing, one value for each state of the protocol.

use crate::{
    history::History,
    matching::Reject,
    record::{
        Origin,
        Record,
        Role, //
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
use vfio::migration::{
    MigArc,
    State, //
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
pub(crate) enum Doing {
    Running,
    /// As running: the accelerators are integrated endpoints without a path to one another, so
    /// there is nothing to stop.
    RunningP2p,
    PreCopy(Arc<SaveSession>),
    /// As pre-copy.
    PreCopyP2p(Arc<SaveSession>),
    /// The function is paused.
    Stop,
    /// The function is paused.
    StopCopy(Arc<SaveSession>),
    /// The function is paused.
    Resuming(Arc<ResumeSession>),
    /// Only a reset leads out.
    Failed(Failed),
}

impl Doing {
    /// The state of the protocol that this is.
    pub(crate) fn state(&self) -> State {
        match self {
            Self::Running => State::Running,
            Self::RunningP2p => State::RunningP2p,
            Self::PreCopy(_) => State::PreCopy,
            Self::PreCopyP2p(_) => State::PreCopyP2p,
            Self::Stop => State::Stop,
            Self::StopCopy(_) => State::StopCopy,
            Self::Resuming(_) => State::Resuming,
            Self::Failed(_) => State::Error,
        }
    }

    /// The number of the session that goes with this, if there is one.
    pub(crate) fn session(&self) -> Option<Id> {
        match self {
            Self::PreCopy(session) | Self::PreCopyP2p(session) | Self::StopCopy(session) => {
                Some(session.id)
            }
            Self::Resuming(session) => Some(session.id),
            Self::Running | Self::RunningP2p | Self::Stop | Self::Failed(_) => None,
        }
    }

    /// Ends this, and the session that goes with it.
    pub(crate) fn end(&mut self, next: Self, history: &mut History, pdev: &pci::Device) {
        match core::mem::replace(self, next) {
            Self::PreCopy(session) | Self::PreCopyP2p(session) | Self::StopCopy(session) => {
                history.end(Record {
                    id: session.id,
                    role: Role::Save,
                    origin: Origin::User,
                    data: session.close(),
                });
            }
            Self::Resuming(session) => {
                if let Some(reject) = session.reject() {
                    refuse(history, pdev, session.id, reject);
                }
                history.end(Record {
                    id: session.id,
                    role: Role::Resume,
                    origin: Origin::User,
                    data: session.close(),
                });
            }
            Self::Running | Self::RunningP2p | Self::Stop | Self::Failed(_) => {}
        }
    }
}

/// Notes that the data of session `id` are refused; tells it once.
pub(crate) fn refuse(history: &mut History, pdev: &pci::Device, id: Id, reject: Reject) {
    if history.refuse(id, reject) {
        trace::refuse(pdev, id, &reject);
    }
}
