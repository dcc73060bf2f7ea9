// SPDX-License-Identifier: GPL-2.0

//! The wait queue of a session, and the events that `poll()` reports.
//!
//! C header: `include/linux/poll.h`

use crate::bindings;
use bitflags::bitflags;
use kernel::{
    fs::File,
    prelude::*,
    static_lock_class,
    sync::poll::{
        PollCondVarBox,
        PollTable, //
    }, //
};

bitflags! {
    /// Events that `poll()` reports, `__poll_t`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Events: u32 {
        /// A read returns at once, with data or with the end of the stream.
        const READABLE = bindings::VFIO_RUST_POLL_READABLE;
        /// The session is over.
        const OVER = bindings::VFIO_RUST_POLL_OVER;
    }
}

/// What a read of a session would find, for `poll()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Nothing now, but there may be data later.
    Nothing,
    /// Data, or the end of the stream.
    Readable,
    /// That the session is over.
    Over,
}

impl Readiness {
    /// That of a session whose reader has `ahead` of it.
    pub(super) fn of(ahead: Result<&[u8]>) -> Self {
        match ahead {
            Ok(_) => Self::Readable,
            Err(e) if e == ENOMSG => Self::Nothing,
            Err(_) => Self::Over,
        }
    }

    /// Returns the events that `poll()` reports.
    pub(super) fn events(self) -> Events {
        match self {
            Self::Nothing => Events::empty(),
            Self::Readable => Events::READABLE,
            Self::Over => Events::READABLE | Events::OVER,
        }
    }
}

/// The threads that wait by `poll()` for the data of a session.
///
/// It is a box of its own because the memory of a wait queue that `epoll` has seen may be given
/// back only after an RCU grace period. [`PollCondVarBox`] leaves that to `kfree_rcu()`, where a
/// [`PollCondVar`](kernel::sync::poll::PollCondVar) within the session would have the last user of
/// the session wait for it.
pub struct Waiters(PollCondVarBox);

impl Waiters {
    /// Makes an empty queue.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new() -> Result<Self> {
        let queue = PollCondVarBox::new(c"vfio::data_file::Waiters", static_lock_class!())?;
        Ok(Self(queue))
    }

    /// Wakes all threads that wait. Call it after a change of what [`SavingSession::ahead`] returns.
    ///
    /// The queue's lock orders the change before the wakeup: a thread that is not in the queue
    /// yet sees the change when it calls [`SavingSession::ahead`] after it was put into the queue.
    ///
    /// [`SavingSession::ahead`]: super::SavingSession::ahead
    pub fn wake(&self) {
        self.0.notify_all();
    }

    /// Puts the thread that polls `file` into the queue, as `table` says.
    pub(super) fn register(&self, file: &File, table: &PollTable<'_>) {
        table.register_wait(file, &self.0);
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_data_file)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_what_a_read_would_find() {
        assert_eq!(Readiness::of(Ok(&[1])), Readiness::Readable);
        assert_eq!(Readiness::of(Ok(&[])), Readiness::Readable);
        assert_eq!(Readiness::of(Err(ENOMSG)), Readiness::Nothing);
        assert_eq!(Readiness::of(Err(ENODEV)), Readiness::Over);
    }
}
