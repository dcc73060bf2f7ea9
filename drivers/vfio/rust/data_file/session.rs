// SPDX-License-Identifier: GPL-2.0

//! What a data file needs of a session, and how it holds one.

use super::poll::{
    Readiness,
    Waiters, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc,
        Mutex, //
    }, //
};

/// What `VFIO_MIG_GET_PRECOPY_INFO` reports, `struct vfio_precopy_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrecopyInfo {
    /// Bytes left of the data that was there when pre-copy began, or when there was new initial
    /// data last.
    pub initial: u64,
    /// Bytes that have changed since.
    pub dirty: u64,
    /// There is new initial data since the user asked last. Needs [`CoreDevice::precopy_info_v2`]; a
    /// user who did not ask for that is not told.
    ///
    /// C: `VFIO_PRECOPY_INFO_REINIT`
    ///
    /// [`CoreDevice::precopy_info_v2`]: crate::device::CoreDevice::precopy_info_v2
    pub reinit: bool,
}

/// A session that migration data are read from. What it has given out once it never changes.
///
/// No method waits for anything that can wait for user memory. The file keeps the module that
/// implements this.
#[vtable]
pub trait SavingSession: Send + Sync + 'static {
    /// The data from `position` on, or a first part of them, which is what a read gets; nothing at
    /// their end.
    ///
    /// # Errors
    ///
    /// [`ENOMSG`] if more may come, nothing being there now; [`ENODEV`] after the end of the
    /// session.
    fn ahead(&self, position: usize) -> Result<&[u8]>;

    /// The threads to wake when [`SavingSession::ahead`] returns something else than before.
    fn waiters(&self) -> &Waiters;

    /// What is left in pre-copy for a reader at `position`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device is not in pre-copy with this session.
    fn precopy_info(&self, position: usize) -> Result<PrecopyInfo>;
}

/// A session that migration data are written to. The file keeps the module that implements this.
#[vtable]
pub trait ResumingSession: Send + Sync + 'static {
    /// Appends `chunk`; `rest` bytes of the same `write()` are to follow. Chunks of two `write()`
    /// calls never alternate.
    ///
    /// An error after the first chunk makes the `write()` a short one, and so does a signal that
    /// kills the writer.
    fn append(&self, chunk: &[u8], rest: usize) -> Result;
}

/// A session together with where in its data its reader is.
#[pin_data]
pub struct Readable<S> {
    pub(super) session: S,
    /// User memory is touched with this lock held.
    #[pin]
    pub(super) position: Mutex<usize>,
    /// The user had asked for the second version of the precopy info when the file was made.
    pub(super) info_v2: Atomic<bool>,
}

impl<S> Readable<S> {
    /// A reader at the start of `session`. As the user can keep the file, the memory is charged to
    /// the user's memory cgroup.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(session: impl Init<S>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                session <- session,
                position <- new_generic_mutex!(0, c"vfio::Readable::position"),
                info_v2: Atomic::new(false),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

impl<S: SavingSession> Readable<S> {
    /// What a read would find now.
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

/// A session together with what keeps its writers apart.
#[pin_data]
pub struct Writable<S> {
    #[pin]
    session: S,
    /// Held for all of a `write()`. User memory is touched with this lock held.
    #[pin]
    pub(super) writing: Mutex<()>,
}

impl<S> Writable<S> {
    /// A writer for `session`. As the user can keep the file, the memory is charged to the user's
    /// memory cgroup.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(session: impl PinInit<S>) -> Result<Arc<Self>> {
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
