// SPDX-License-Identifier: GPL-2.0

//! Who waits for the data of a session, and what `poll()` says to them.
//!
//! C header: `include/linux/poll.h`

use crate::bindings;
use kernel::{
    fs::File,
    prelude::*,
    static_lock_class,
    sync::{
        poll::{
            PollCondVarBox,
            PollTable, //
        },
        SetOnce, //
    }, //
};

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

    /// The events that `poll()` tells.
    pub(super) fn events(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Readable => bindings::VFIO_RUST_POLL_READABLE,
            Self::Over => bindings::VFIO_RUST_POLL_READABLE | bindings::VFIO_RUST_POLL_OVER,
        }
    }
}

/// Who waits by `poll()` for the data of a session.
///
/// Few users ever do, so that what is needed for it is made for the first one.
pub struct Waiters(SetOnce<PollCondVarBox>);

impl Waiters {
    /// Nobody yet.
    #[inline]
    pub const fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Lets all who wait look again; to be called after what [`Source::ahead`] says has changed.
    ///
    /// [`Source::ahead`]: super::Source::ahead
    #[inline]
    pub fn wake(&self) {
        if let Some(queue) = self.0.as_ref() {
            queue.notify_all();
        }
    }

    /// Has `table` wait as well, for the poll of `file`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) fn register(&self, file: &File, table: &PollTable<'_>) -> Result {
        if self.0.as_ref().is_none() {
            let queue = PollCondVarBox::new(c"vfio::data_file::Waiters", static_lock_class!())?;
            // Another one may have been faster; then this one is not needed.
            self.0.populate(queue);
        }
        let queue = self.0.as_ref().ok_or(ENOMEM)?;
        table.register_wait(file, queue);
        Ok(())
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
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
