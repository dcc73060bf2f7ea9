// SPDX-License-Identifier: GPL-2.0

//! The wait queue of a session, and the events that `poll()` reports.
//!
//! C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)

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

/// The result that a read of a session would have, for `poll()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// There is no data now, but there may be later.
    Nothing,
    /// There is data, or the end of the stream.
    Readable,
    /// The session is over.
    Over,
}

impl Readiness {
    /// Returns the readiness of a session for a reader that gets `ahead`.
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

/// The threads that wait in `poll()` for the data of a session.
///
/// It is a separate box, because the memory of a wait queue that `epoll` uses may be freed only
/// after an RCU grace period. [`PollCondVarBox`] uses `kfree_rcu()`, whereas with a
/// [`PollCondVar`](kernel::sync::poll::PollCondVar) in the session, the last user of the session
/// would have to wait for the grace period.
pub(crate) struct Waiters(PollCondVarBox);

impl Waiters {
    /// Creates an empty queue.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new() -> Result<Self> {
        let queue = PollCondVarBox::new(c"vfio::data_file::Waiters", static_lock_class!())?;
        Ok(Self(queue))
    }

    /// Wakes all waiting threads. Call it after the result of [`SavingSession::ahead`] has changed.
    ///
    /// The queue's lock orders the change before the wakeup: a thread that is not in the queue yet
    /// sees the change when it calls [`SavingSession::ahead`] after it was added to the queue.
    ///
    /// [`SavingSession::ahead`]: super::SavingSession::ahead
    pub(crate) fn wake(&self) {
        self.0.notify_all();
    }

    /// Adds the thread that polls `file` to the queue, as `table` requests.
    pub(super) fn register(&self, file: &File, table: &PollTable<'_>) {
        table.register_wait(file, &self.0);
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_data_file)]
mod tests {
    use super::*;

    #[test]
    fn readiness_matches_the_result_of_a_read() {
        assert_eq!(Readiness::of(Ok(&[1])), Readiness::Readable);
        assert_eq!(Readiness::of(Ok(&[])), Readiness::Readable);
        assert_eq!(Readiness::of(Err(ENOMSG)), Readiness::Nothing);
        assert_eq!(Readiness::of(Err(ENODEV)), Readiness::Over);
    }
}
