// SPDX-License-Identifier: GPL-2.0

//! What sessions there were and how they went, for debugfs.
//!
//! A session has its own arcs and those around it: from where the device left RUNNING, or the
//! session before it ended, to where the device is in RUNNING again or the next session begins.

use crate::{
    matching::Reject,
    record::{
        Origin,
        Record,
        Role, //
    },
    session::Id,
    symptoms::Symptoms,
    trace,
};
use kernel::{
    prelude::*,
    time::{
        ClockSource,
        Delta,
        RealTime, //
    }, //
};
use vfio::migration::MigArc;

/// Sessions that are remembered.
const SESSIONS: usize = 4;
/// Arcs that are remembered of a session.
const STEPS: usize = 8;
/// Arcs that failed, which are remembered whether they belong to a session or not.
const FAILURES: usize = 4;

/// The last `N` of what was pushed, oldest first.
#[derive(Clone, Copy)]
pub(crate) struct Last<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Last<T, N> {
    const EMPTY: Self = Self([None; N]);

    pub(crate) fn push(&mut self, item: T) {
        self.0.rotate_left(1);
        if let Some(last) = self.0.last_mut() {
            *last = Some(item);
        }
    }

    fn newest_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut()?.as_mut()
    }

    /// All there are, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// An arc that was walked, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) arc: MigArc,
    /// In microseconds, rounded up.
    pub(crate) duration: u32,
    pub(crate) result: Result,
}

impl Step {
    /// An arc that took `duration`.
    pub(crate) fn new(arc: MigArc, duration: Delta, result: Result) -> Self {
        Self {
            arc,
            duration: trace::micros(duration),
            result,
        }
    }
}

/// A session, over or not.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) role: Role,
    pub(crate) origin: Origin,
    /// Nanoseconds since 1970.
    pub(crate) begin: i64,
    /// When it ended, and how many bytes it had by then.
    pub(crate) end: Option<(i64, usize)>,
    /// Why its data were refused.
    pub(crate) refused: Option<Reject>,
    pub(crate) steps: Last<Step, STEPS>,
}

/// An arc that failed, and what the hardware said then.
#[derive(Clone, Copy)]
pub(crate) struct FailedArc {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    /// The session that it belonged to.
    pub(crate) session: Option<Id>,
    pub(crate) arc: MigArc,
    pub(crate) error: Error,
    pub(crate) symptoms: Symptoms,
}

impl FailedArc {
    /// `arc` has failed just now.
    pub(crate) fn new(session: Option<Id>, arc: MigArc, error: Error, symptoms: Symptoms) -> Self {
        Self {
            time: RealTime::ktime_get(),
            session,
            arc,
            error,
            symptoms,
        }
    }
}

/// What is kept: since the last open, but for the numbering.
pub(crate) struct History {
    last_id: Id,
    /// The last session that is over and that had any data.
    pub(crate) last: Option<Record>,
    /// The last session whose data were refused, and why.
    pub(crate) refused: Option<(Id, Reject)>,
    /// The last sessions.
    pub(crate) sessions: Last<Entry, SESSIONS>,
    /// The last arcs that failed.
    pub(crate) failures: Last<FailedArc, FAILURES>,
    /// Arcs that no session has yet.
    pending: Last<Step, STEPS>,
    /// Whether the newest session has the arcs that are walked now.
    attached: bool,
}

impl History {
    /// No session yet.
    pub(crate) const EMPTY: Self = Self {
        last_id: 0,
        last: None,
        refused: None,
        sessions: Last::EMPTY,
        failures: Last::EMPTY,
        pending: Last::EMPTY,
        attached: false,
    };

    /// Number for a new session.
    pub(crate) fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    /// A session begins.
    pub(crate) fn begin(&mut self, id: Id, role: Role, origin: Origin) {
        self.sessions.push(Entry {
            id,
            role,
            origin,
            begin: RealTime::ktime_get(),
            end: None,
            refused: None,
            steps: core::mem::replace(&mut self.pending, Last::EMPTY),
        });
        self.attached = true;
    }

    /// The data of session `id` are refused. Returns whether that was not known yet.
    pub(crate) fn refuse(&mut self, id: Id, reject: Reject) -> bool {
        let refused = Some((id, reject));
        let new = self.refused != refused;
        self.refused = refused;
        if let Some(entry) = self.newest(id) {
            entry.refused = Some(reject);
        }
        new
    }

    /// A session has ended. Its data are kept, unless there are none.
    pub(crate) fn end(&mut self, record: Record) {
        let len = record.data.as_slice().len();
        if let Some(entry) = self.newest(record.id) {
            entry.end = Some((RealTime::ktime_get(), len));
        }
        if len > 0 {
            self.last = Some(record);
        }
    }

    /// The newest session, if it is session `id`.
    fn newest(&mut self, id: Id) -> Option<&mut Entry> {
        self.sessions.newest_mut().filter(|entry| entry.id == id)
    }

    /// An arc was walked, or not.
    pub(crate) fn step(&mut self, step: Step) {
        let steps = match self.sessions.newest_mut() {
            Some(entry) if self.attached => &mut entry.steps,
            _ => &mut self.pending,
        };
        steps.push(step);
    }

    /// The device is in RUNNING, after whatever was before.
    pub(crate) fn settle(&mut self) {
        self.pending = Last::EMPTY;
        self.attached = false;
    }

    /// Forgets what the last owner did: the next one must not see it.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            last_id: self.last_id,
            ..Self::EMPTY
        };
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_history)]
mod tests {
    use super::*;
    use crate::session::Data;

    fn step(arc: MigArc) -> Step {
        Step::new(arc, Delta::from_nanos(1500), Ok(()))
    }

    fn end(history: &mut History, id: Id) {
        history.end(Record {
            id,
            role: Role::Save,
            origin: Origin::User,
            data: Data::EMPTY,
        });
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut last = Last::<u32, 3>::EMPTY;
        assert_eq!(last.iter().count(), 0);
        for n in 1..=5 {
            last.push(n);
        }
        assert!(last.iter().eq([3, 4, 5].iter()));
    }

    #[test]
    fn session_has_the_arcs_around_it() {
        let mut history = History::EMPTY;
        history.step(step(MigArc::RunningP2pToStop));
        let id = history.next_id();
        history.begin(id, Role::Save, Origin::User);
        history.step(step(MigArc::StopToStopCopy));
        end(&mut history, id);
        history.step(step(MigArc::StopCopyToStop));
        history.step(step(MigArc::StopToRunningP2p));
        history.settle();
        history.step(step(MigArc::RunningToRunningP2p));

        let arcs = history
            .sessions
            .iter()
            .flat_map(|entry| entry.steps.iter().map(|step| step.arc));
        assert!(arcs.eq([
            MigArc::RunningP2pToStop,
            MigArc::StopToStopCopy,
            MigArc::StopCopyToStop,
            MigArc::StopToRunningP2p,
        ]));
        assert_eq!(history.pending.iter().count(), 1);
    }

    #[test]
    fn next_owner_sees_nothing_but_the_numbering() {
        let mut history = History::EMPTY;
        let id = history.next_id();
        history.begin(id, Role::Resume, Origin::User);
        end(&mut history, id);
        history.forget();
        assert_eq!(history.sessions.iter().count(), 0);
        assert!(!history.attached);
        assert_eq!(history.next_id(), id + 1);
    }
}
