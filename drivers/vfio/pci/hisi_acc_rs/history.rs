// SPDX-License-Identifier: GPL-2.0

//! History of migration sessions, for debugfs.
//!
//! A session includes the arcs around it. It starts when the device leaves RUNNING or when the
//! previous session ends, and lasts until the device is in RUNNING again or the next session
//! begins.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use crate::{
    failure_registers::FailureRegisters,
    matching::LocalDevice,
    reject::Reject,
    stream::{
        self,
        Data, //
    }, //
};
use kernel::prelude::*;
use vfio::{
    migration::{
        Direction,
        MigArc,
        Session, //
    },
    recent_ring::RecentRing,
    timestamp::{
        micros,
        Timestamp, //
    }, //
};

/// Number of a session, counted per device from 1.
pub(crate) type SessionId = u64;

/// Number of sessions that are kept.
const SESSIONS: usize = 4;
/// Number of arcs that are kept per session.
const STEPS: usize = 8;
/// Number of failed arcs that are kept, whether they belong to a session or not.
const FAILURES: usize = 4;

/// Origin of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user of the device file.
    User,
    /// A debugfs command.
    Debugfs,
}

impl Origin {
    /// Returns the name that debugfs shows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Debugfs => "debugfs",
        }
    }
}

/// Returns the name that debugfs shows for `role`.
pub(crate) const fn role_name(role: Direction) -> &'static str {
    match role {
        Direction::Save => "save",
        Direction::Resume => "resume",
    }
}

/// An arc that succeeded or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) arc: MigArc,
    /// In microseconds, rounded up; 0 unless the arc [`takes_time`].
    pub(crate) duration: u32,
    /// 0 if the arc succeeded.
    pub(crate) errno: u16,
}

/// Returns whether `arc` accesses the hardware or allocates something for the user. The time of
/// other arcs, which only end a session or change the recorded state, is negligible.
fn takes_time(arc: MigArc) -> bool {
    match arc {
        MigArc::RunningP2pToStop
        | MigArc::StopToRunningP2p
        | MigArc::StopToStopCopy
        | MigArc::StopToResuming
        | MigArc::ResumingToStop
        | MigArc::RunningToPreCopy
        | MigArc::RunningP2pToPreCopyP2p
        | MigArc::PreCopyP2pToStopCopy
        | MigArc::RunningToStop
        | MigArc::StopToRunning
        | MigArc::PreCopyToStopCopy => true,
        MigArc::RunningToRunningP2p
        | MigArc::RunningP2pToRunning
        | MigArc::StopCopyToStop
        | MigArc::PreCopyToRunning
        | MigArc::PreCopyP2pToRunningP2p
        | MigArc::PreCopyToPreCopyP2p
        | MigArc::PreCopyP2pToPreCopy => false,
    }
}

/// A session, finished or not.
#[derive(Clone, Copy)]
pub(crate) struct SessionEntry {
    pub(crate) id: SessionId,
    pub(crate) role: Direction,
    pub(crate) origin: Origin,
    /// Start of the session.
    pub(crate) begin: Timestamp,
    /// End of the session, and the number of bytes it had then.
    pub(crate) end: Option<(Timestamp, usize)>,
    /// Reason for which its data were refused.
    pub(crate) refused: Option<Reject>,
    pub(crate) steps: RecentRing<Step, STEPS>,
}

/// A finished session, with its data.
pub(crate) struct FinishedSession {
    pub(crate) id: SessionId,
    pub(crate) origin: Origin,
    pub(crate) session: Session<LocalDevice>,
    /// The function was reset after the session. The guest may have reused the memory at the
    /// addresses in the data since then.
    pub(crate) outdated: bool,
}

impl FinishedSession {
    /// Returns the data of the session.
    pub(crate) fn data(&self) -> Data {
        self.session.data()
    }

    /// Returns whether the data have the length of a complete stream.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.session.bytes(), stream::SIZE | stream::MATCH_SIZE)
    }
}

/// A failed arc, and the state of the hardware after it.
#[derive(Clone, Copy)]
pub(crate) struct FailedArc {
    pub(crate) time: Timestamp,
    /// The session that the arc belonged to.
    pub(crate) session: Option<SessionId>,
    pub(crate) arc: MigArc,
    pub(crate) error: Error,
    /// The registers after the failure, if they could be read.
    pub(crate) registers: Option<FailureRegisters>,
}

/// The history since the device was last opened. Session numbers continue across opens.
pub(crate) struct History {
    last_id: SessionId,
    /// The last finished session that had any data.
    pub(crate) last: Option<FinishedSession>,
    /// The last session whose data were refused, and the reason.
    pub(crate) refused: Option<(SessionId, Reject)>,
    /// The last sessions.
    pub(crate) sessions: RecentRing<SessionEntry, SESSIONS>,
    /// The last failed arcs.
    pub(crate) failures: RecentRing<FailedArc, FAILURES>,
    /// Arcs since the last session, for the next one.
    pending: RecentRing<Step, STEPS>,
    /// Whether arcs are currently added to the newest session.
    attached: bool,
    /// Whether the newest session has not ended yet.
    in_progress: bool,
    /// Start of the current arc.
    started: Option<Timestamp>,
}

// A larger structure would take 2 KiB from kmalloc.
const _: () = assert!(size_of::<History>() <= 1024);

impl History {
    /// The history of a device without sessions.
    pub(crate) const EMPTY: Self = Self {
        last_id: 0,
        last: None,
        refused: None,
        sessions: RecentRing::EMPTY,
        failures: RecentRing::EMPTY,
        pending: RecentRing::EMPTY,
        attached: false,
        in_progress: false,
        started: None,
    };

    /// Called when an arc begins. Reads the clock only if the arc takes time.
    pub(crate) fn begin_arc(&mut self, arc: MigArc) {
        self.started = takes_time(arc).then(Timestamp::now);
    }

    /// Adds a session. It begins with the current arc, if there is one, and includes the arcs that
    /// belong to no session yet.
    pub(crate) fn begin_session(&mut self, role: Direction, origin: Origin) {
        self.last_id += 1;
        self.sessions.push(SessionEntry {
            id: self.last_id,
            role,
            origin,
            begin: self.started.unwrap_or_else(Timestamp::now),
            end: None,
            refused: None,
            steps: self.pending,
        });
        self.pending.clear();
        self.attached = true;
        self.in_progress = true;
    }

    /// Records why the data of the current session are refused. Returns the number of the session
    /// if this reason is new.
    pub(crate) fn set_reject(&mut self, reject: Reject) -> Option<SessionId> {
        let entry = self.sessions.newest_mut()?;
        entry.refused = Some(reject);
        let refused = (entry.id, reject);
        let last = self.refused.replace(refused);
        (last != Some(refused)).then_some(refused.0)
    }

    /// Ends the current session, and keeps its data unless there are none.
    pub(crate) fn finish_session(&mut self, session: Session<LocalDevice>) {
        self.in_progress = false;
        let Some(entry) = self.sessions.newest_mut() else {
            return;
        };
        let len = session.bytes();
        entry.end = Some((Timestamp::now(), len));
        if len > 0 {
            self.last = Some(FinishedSession {
                id: entry.id,
                origin: entry.origin,
                session,
                outdated: false,
            });
        }
    }

    /// Returns the number of the current session, if there is one.
    pub(crate) fn current_id(&self) -> Option<SessionId> {
        self.in_progress.then_some(self.last_id)
    }

    /// Records that `arc` has failed, with the `registers` after it.
    pub(crate) fn add_failure(
        &mut self,
        arc: MigArc,
        error: Error,
        registers: Option<FailureRegisters>,
    ) {
        self.failures.push(FailedArc {
            time: Timestamp::now(),
            session: self.current_id(),
            arc,
            error,
            registers,
        });
    }

    /// Records the result of the current arc, and returns the record.
    #[inline]
    pub(crate) fn finish_arc(&mut self, arc: MigArc, result: Result) -> Step {
        let step = Step {
            arc,
            duration: self
                .started
                .take()
                .map_or(0, |started| micros(started.elapsed())),
            // CAST: An errno is less than 4096.
            errno: result.map_or_else(|error| -error.to_errno() as u16, |()| 0),
        };
        let session = if self.attached {
            self.sessions.newest_mut()
        } else {
            None
        };
        let steps = session.map_or(&mut self.pending, |entry| &mut entry.steps);
        steps.push(step);
        step
    }

    /// Called when the device is in RUNNING again: later arcs belong to the next session.
    pub(crate) fn detach_session(&mut self) {
        self.pending.clear();
        self.attached = false;
    }

    /// Called after a reset of the function. Later arcs belong to the next session, and the data of
    /// the last one are outdated.
    pub(crate) fn handle_reset(&mut self) {
        self.detach_session();
        if let Some(last) = &mut self.last {
            last.outdated = true;
        }
    }

    /// Clears the history, which the next user must not see.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            last_id: self.last_id,
            ..Self::EMPTY
        };
    }
}
