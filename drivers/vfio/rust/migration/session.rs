// SPDX-License-Identifier: GPL-2.0

//! Sessions of the data files, for devices whose state is one structure.
//!
//! A session has no reference to the device. It can outlive the state that created it, because the
//! user may keep the file; from then on it only reports that it is over.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use super::data::{
    AppendOnce,
    Data,
    Image, //
};
use crate::data_file::{
    Readable,
    ResumingSession,
    SavingSession,
    Waiters,
    Writable, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

/// The format of the data that a device can load. It validates an untrusted stream and turns it
/// into loadable state.
///
/// It is used while data is received, when the device must not be accessed, so it holds all values
/// to compare the data with.
#[vtable]
pub trait StreamFormat: Send + Sync + 'static {
    /// The structure that is transferred.
    type Image: Image;
    /// The state that can be loaded. Nothing else is, so values that it does not contain cannot
    /// reach the hardware.
    type Verified;
    /// The reason for refusing data.
    type Reject: Copy + Send + Unpin + Into<Error>;

    /// The number of bytes at the start of the image that can be checked without the rest, or 0.
    /// They are sent first if the device offers pre-copy. A number larger than the image does not
    /// compile.
    const HEAD: usize = 0;

    /// Checks the first [`StreamFormat::HEAD`] bytes as soon as all of them have been written.
    ///
    /// Nothing of a refused session is loaded. The `write()` fails with the error of the refusal,
    /// and so do all later ones. If some bytes of the `write()` had been accepted before, only the
    /// later ones fail.
    fn check(&self, _head: &Self::Image) -> Result<(), Self::Reject> {
        Ok(())
    }

    /// Parses the data that was written. [`Data::complete`] returns the image if it is whole.
    ///
    /// Data of [`StreamFormat::HEAD`] bytes or more has passed [`StreamFormat::check`]. Shorter
    /// data is unchecked.
    fn verify(&self, data: &Data<Self::Image>) -> Result<Self::Verified, Self::Reject>;
}

/// A session that the user reads from. Its data is only ever added to.
pub(super) struct Saving<E: StreamFormat> {
    /// The state that the session belongs to was left.
    over: Atomic<bool>,
    data: AppendOnce<E::Image>,
    waiters: Waiters,
}

impl<E: StreamFormat> Saving<E> {
    fn new(data: AppendOnce<E::Image>) -> Result<Arc<Readable<Self>>> {
        let waiters = Waiters::new()?;
        Readable::new(init!(Self {
            over: Atomic::new(false),
            data,
            waiters,
        }))
    }

    /// Creates a session that starts while the device runs, with the data known by then.
    pub(super) fn pre_copy(data: &Data<E::Image>) -> Result<Arc<Readable<Self>>> {
        Self::new(AppendOnce::new(data))
    }

    /// Creates a session that starts with all of its data.
    pub(super) fn stop_copy(data: &Data<E::Image>) -> Result<Arc<Readable<Self>>> {
        Self::new(AppendOnce::new_complete(data))
    }

    /// Returns the data that is there so far.
    pub(super) fn data(&self) -> Data<E::Image> {
        self.data.data()
    }

    /// Completes the session after the device has stopped: `data` is all of its data.
    ///
    /// # Errors
    ///
    /// Those of [`AppendOnce::complete`].
    pub(super) fn complete(&self, data: &Data<E::Image>) -> Result {
        self.data.complete(data)?;
        self.waiters.wake();
        Ok(())
    }

    /// Ends the session, because the state that it belongs to was left.
    pub(super) fn close(&self) {
        self.over.store(true, Relaxed);
        self.waiters.wake();
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

#[vtable]
impl<E: StreamFormat> SavingSession for Saving<E> {
    type OwnerModule = E::OwnerModule;

    fn ahead(&self, position: usize) -> Result<&[u8]> {
        if self.is_over() {
            return Err(ENODEV);
        }
        // This order is required: data that is added in between must not look like the end.
        let complete = self.data.is_complete();
        match self.data.as_slice().get(position..) {
            Some(left) if !left.is_empty() => Ok(left),
            _ if !complete => Err(ENOMSG),
            _ => Ok(&[]),
        }
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn initial_bytes(&self, position: usize) -> Result<u64> {
        if self.is_over() || self.data.is_complete() {
            return Err(EINVAL);
        }
        Ok(self.data.initial_len().saturating_sub(position) as u64)
    }
}

/// The progress of a [`Resuming`] session.
enum Progress<R> {
    /// The head is not complete.
    Filling,
    /// The head is complete and has passed the check.
    Matched,
    /// The head was refused. Nothing will be loaded.
    Refused(R),
}

struct Resume<E: StreamFormat> {
    /// The state that the session belongs to was left.
    over: bool,
    progress: Progress<E::Reject>,
    data: Data<E::Image>,
}

/// A session that the user writes to.
#[pin_data]
pub(super) struct Resuming<E: StreamFormat> {
    format: E,
    #[pin]
    inner: Mutex<Resume<E>>,
}

impl<E: StreamFormat> Resuming<E> {
    /// Creates a session that receives a stream of this format.
    pub(super) fn new(format: E) -> Result<Arc<Writable<Self>>> {
        Writable::new(pin_init!(Self {
            format,
            inner <- new_generic_mutex!(
                init!(Resume {
                    over: false,
                    progress: Progress::Filling,
                    data: Data::empty(),
                }),
                c"vfio::Resuming::inner"
            ),
        }))
    }

    /// Parses the data that was written so far.
    ///
    /// On success the session ends in the same critical section, so that the returned state
    /// contains every byte of all successful `write()` calls. After a failure the session
    /// continues, and accepts more data unless [`StreamFormat::check`] has refused the head.
    pub(super) fn verify(&self) -> Result<E::Verified, E::Reject> {
        let mut resume = self.inner.lock();
        let verified = match resume.progress {
            Progress::Refused(reject) => Err(reject),
            _ => self.format.verify(&resume.data),
        }?;
        resume.over = true;
        Ok(verified)
    }

    /// Returns why the session was refused, if it was.
    pub(super) fn reject(&self) -> Option<E::Reject> {
        match self.inner.lock().progress {
            Progress::Refused(reject) => Some(reject),
            Progress::Filling | Progress::Matched => None,
        }
    }

    /// Returns the received data.
    fn data(&self) -> Data<E::Image> {
        self.inner.lock().data
    }

    /// Ends the session, because the state that it belongs to was left.
    pub(super) fn close(&self) {
        self.inner.lock().over = true;
    }
}

#[vtable]
impl<E: StreamFormat> ResumingSession for Resuming<E> {
    type OwnerModule = E::OwnerModule;

    fn append(&self, chunk: &[u8], rest: usize) -> Result {
        let mut resume = self.inner.lock();
        let Resume {
            over,
            progress,
            data,
        } = &mut *resume;
        if *over {
            return Err(ENODEV);
        }
        match progress {
            Progress::Filling | Progress::Matched => data.append(chunk, rest)?,
            Progress::Refused(reject) => return Err((*reject).into()),
        }

        if matches!(progress, Progress::Filling) && data.as_slice().len() >= E::HEAD {
            if let Err(reject) = self.format.check(data.image()) {
                *progress = Progress::Refused(reject);
                return Err(reject.into());
            }
            *progress = Progress::Matched;
        }
        Ok(())
    }
}

/// The direction in which the data of a session is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of the device.
    Save,
    /// Into the device.
    Resume,
}

/// A session that has ended, with its data.
///
/// Its file may still exist, but the data cannot be accessed through the file any more.
pub struct Session<E: StreamFormat>(Kind<E>);

enum Kind<E: StreamFormat> {
    Save(Arc<Readable<Saving<E>>>),
    Resume(Arc<Writable<Resuming<E>>>),
}

impl<E: StreamFormat> Session<E> {
    /// Creates a session without a file, with `data` as the saved data.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn saved(data: &Data<E::Image>) -> Result<Self> {
        Ok(Self::save(Saving::stop_copy(data)?))
    }

    /// Ends `session`.
    pub(super) fn save(session: Arc<Readable<Saving<E>>>) -> Self {
        session.close();
        Self(Kind::Save(session))
    }

    /// Ends `session`.
    pub(super) fn resume(session: Arc<Writable<Resuming<E>>>) -> Self {
        session.close();
        Self(Kind::Resume(session))
    }

    /// Returns the direction in which the data was transferred.
    pub fn direction(&self) -> Direction {
        match self.0 {
            Kind::Save(_) => Direction::Save,
            Kind::Resume(_) => Direction::Resume,
        }
    }

    /// Returns the data that could be read, or that was received.
    pub fn data(&self) -> Data<E::Image> {
        match &self.0 {
            Kind::Save(session) => session.data(),
            Kind::Resume(session) => session.data(),
        }
    }

    /// Returns the number of bytes of the data.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kind::Save(session) => session.data.as_slice().len(),
            Kind::Resume(session) => session.inner.lock().data.as_slice().len(),
        }
    }

    /// Returns why [`StreamFormat::check`] has refused the received data, if it has.
    pub fn reject(&self) -> Option<E::Reject> {
        match &self.0 {
            Kind::Save(_) => None,
            Kind::Resume(session) => session.reject(),
        }
    }
}
