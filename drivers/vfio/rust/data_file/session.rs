// SPDX-License-Identifier: GPL-2.0

//! The interface between a data file and its session.

use super::poll::{
    Readiness,
    Waiters, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// A session that migration data is read from. Bytes already returned never change.
///
/// No method waits for anything that can wait for user memory. The file holds a reference to the
/// module that implements this.
#[vtable]
pub(crate) trait SavingSession: Send + Sync + 'static {
    /// Returns the data from `position` on, or the first part of it, which is what a read returns.
    /// At the end of the data it is empty.
    ///
    /// # Errors
    ///
    /// [`ENOMSG`] if there is no data now, but more may be added; [`ENODEV`] after the end of the
    /// session.
    fn ahead(&self, position: usize) -> Result<&[u8]>;

    /// Returns the threads to wake when the result of [`SavingSession::ahead`] changes.
    fn waiters(&self) -> &Waiters;

    /// Returns how many bytes of the data that existed when pre-copy began are left for a reader at
    /// `position`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device is not in pre-copy with this session.
    fn initial_bytes(&self, position: usize) -> Result<u64>;
}

/// A session that migration data is written to. The file holds a reference to the module that
/// implements this.
#[vtable]
pub(crate) trait ResumingSession: Send + Sync + 'static {
    /// Appends `chunk`. `rest` bytes of the same `write()` follow. Chunks of two `write()` calls
    /// are not interleaved.
    ///
    /// An error after the first chunk results in a short `write()`, and so does a fatal signal.
    fn append(&self, chunk: &[u8], rest: usize) -> Result;
}

/// A session with the reader's position in its data.
#[pin_data]
pub(crate) struct Readable<S> {
    pub(super) session: S,
    /// User memory is accessed with this lock held.
    #[pin]
    pub(super) position: Mutex<usize>,
}

impl<S> Readable<S> {
    /// Creates a reader at the start of `session`. The memory is charged to the user's memory
    /// cgroup, because the user can keep the file.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(session: impl Init<S>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                session <- session,
                position <- new_generic_mutex!(0, c"vfio::Readable::position"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

impl<S: SavingSession> Readable<S> {
    /// Returns what a read would find now.
    pub(super) fn readiness(&self) -> Readiness {
        Readiness::of(self.session.ahead(*self.position.lock()))
    }
}

impl<S> Deref for Readable<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

/// A session with a lock that serialises its writers.
#[pin_data]
pub(crate) struct Writable<S> {
    #[pin]
    session: S,
    /// Held during a whole `write()`. User memory is accessed with this lock held.
    #[pin]
    pub(super) writing: Mutex<()>,
}

impl<S> Writable<S> {
    /// Creates a writer of `session`. The memory is charged to the user's memory cgroup, because
    /// the user can keep the file.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(session: impl PinInit<S>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                session <- session,
                writing <- new_generic_mutex!((), c"vfio::Writable::writing"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

impl<S> Deref for Writable<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}
