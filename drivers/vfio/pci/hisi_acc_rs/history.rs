// SPDX-License-Identifier: GPL-2.0

//! What sessions there were and how they went, for debugfs.
//!
//! A session has its own arcs and those around it: from where the device left RUNNING, or the
//! session before it ended, to where the device is in RUNNING again or the next session begins.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use crate::{
    duration::micros,
    failure_registers::FailureRegisters,
    matching::LocalDevice,
    recent_ring::RecentRing,
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
    }, //
    timestamp::Timestamp,
};

/// Number of a session, counted per device from 1.
pub(crate) type SessionId = u64;

/// Sessions that are remembered.
const SESSIONS: usize = 4;
/// Arcs that are remembered of a session.
const STEPS: usize = 8;
/// Arcs that failed, which are remembered whether they belong to a session or not.
const FAILURES: usize = 4;

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

/// An arc that was walked, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) arc: MigArc,
    /// In microseconds, rounded up; 0 unless the arc [`takes_time`].
    pub(crate) duration: u32,
    /// 0 if it was walked.
    pub(crate) errno: u16,
}

/// Whether anything is asked of the hardware for `arc`, or made for the user. What only ends a
/// session or says that the device is in another state takes no time to speak of.
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

/// A session, over or not.
#[derive(Clone, Copy)]
pub(crate) struct SessionEntry {
    pub(crate) id: SessionId,
    pub(crate) role: Direction,
    pub(crate) origin: Origin,
    /// When it began.
    pub(crate) begin: Timestamp,
    /// When it ended, and how many bytes it had by then.
    pub(crate) end: Option<(Timestamp, usize)>,
    /// Why its data were refused.
    pub(crate) refused: Option<Reject>,
    pub(crate) steps: RecentRing<Step, STEPS>,
}

/// A session that is over.
pub(crate) struct FinishedSession {
    pub(crate) id: SessionId,
    pub(crate) origin: Origin,
    pub(crate) session: Session<LocalDevice>,
    /// The function was reset after the session. Its guest may use the memory, which the data have
    /// the addresses of, for something else by now.
    pub(crate) outdated: bool,
}

impl FinishedSession {
    /// Its data.
    pub(crate) fn data(&self) -> Data {
        self.session.data()
    }

    /// Whether its data can be all of a stream.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.session.bytes(), stream::SIZE | stream::MATCH_SIZE)
    }
}

/// An arc that failed, and what the hardware said then.
#[derive(Clone, Copy)]
pub(crate) struct FailedArc {
    pub(crate) time: Timestamp,
    /// The session that it belonged to.
    pub(crate) session: Option<SessionId>,
    pub(crate) arc: MigArc,
    pub(crate) error: Error,
    /// What the registers said, if they could be read.
    pub(crate) registers: Option<FailureRegisters>,
}

/// What is kept: since the last open, but for the numbering.
pub(crate) struct History {
    last_id: SessionId,
    /// The last session that is over and that had any data.
    pub(crate) last: Option<FinishedSession>,
    /// The last session whose data were refused, and why.
    pub(crate) refused: Option<(SessionId, Reject)>,
    /// The last sessions.
    pub(crate) sessions: RecentRing<SessionEntry, SESSIONS>,
    /// The last arcs that failed.
    pub(crate) failures: RecentRing<FailedArc, FAILURES>,
    /// Arcs that no session has yet.
    pending: RecentRing<Step, STEPS>,
    /// Whether the newest session has the arcs that are walked now.
    attached: bool,
    /// Whether the newest session is under way.
    under_way: bool,
    /// When the arc that is walked now was begun.
    started: Option<Timestamp>,
}

// What kmalloc would give for more is 2 KiB.
const _: () = assert!(size_of::<History>() <= 1024);

impl History {
    /// No session yet.
    pub(crate) const EMPTY: Self = Self {
        last_id: 0,
        last: None,
        refused: None,
        sessions: RecentRing::EMPTY,
        failures: RecentRing::EMPTY,
        pending: RecentRing::EMPTY,
        attached: false,
        under_way: false,
        started: None,
    };

    /// An arc is about to be walked. The clock is read for those only that take time.
    pub(crate) fn begin_arc(&mut self, arc: MigArc) {
        self.started = takes_time(arc).then(Timestamp::now);
    }

    /// A session begins, with the arc that is walked now if there is one.
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
        self.under_way = true;
    }

    /// The data of the session that is under way are refused. Returns its number, if that was not
    /// known yet.
    pub(crate) fn set_reject(&mut self, reject: Reject) -> Option<SessionId> {
        let entry = self.sessions.newest_mut()?;
        entry.refused = Some(reject);
        let refused = (entry.id, reject);
        let last = self.refused.replace(refused);
        (last != Some(refused)).then_some(refused.0)
    }

    /// The session that is under way has ended. Its data are kept, unless there are none.
    pub(crate) fn finish_session(&mut self, session: Session<LocalDevice>) {
        self.under_way = false;
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

    /// Number of the session that is under way, if there is one.
    pub(crate) fn current_id(&self) -> Option<SessionId> {
        self.under_way.then_some(self.last_id)
    }

    /// `arc` has failed just now, and the hardware has these symptoms.
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

    /// The arc that was begun last was walked, or not. Returns what is kept of it.
    #[inline]
    pub(crate) fn finish_arc(&mut self, arc: MigArc, result: Result) -> Step {
        let step = Step {
            arc,
            duration: self
                .started
                .take()
                .map_or(0, |started| micros(started.elapsed())),
            // CAST: an errno is less than 4096.
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

    /// The device is in RUNNING, after whatever was before.
    pub(crate) fn detach_session(&mut self) {
        self.pending.clear();
        self.attached = false;
    }

    /// Called after a reset of the function.
    pub(crate) fn mark_outdated(&mut self) {
        self.detach_session();
        if let Some(last) = &mut self.last {
            last.outdated = true;
        }
    }

    /// Forgets what the last owner did: the next one must not see it.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            last_id: self.last_id,
            ..Self::EMPTY
        };
    }
}
