// SPDX-License-Identifier: GPL-2.0

//! What a data file is connected to, where a device's state is one structure.
//!
//! A session knows nothing of the device. It outlives the state that made it, as the user may
//! keep the file; from then on it only says that it is over.

use crate::data_file::{
    PrecopyInfo,
    Readable,
    Sink,
    Source,
    Waiters, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    }, //
};
/// A structure that travels as the bytes it consists of.
///
/// It should be of [`zerocopy::byteorder::little_endian`] types, so that hosts of all kinds
/// understand one another.
pub trait Image:
    FromBytes
    + IntoBytes
    + zerocopy::Immutable
    + zerocopy::KnownLayout
    + Copy
    + Send
    + Sync
    + Unpin
    + 'static
{
}

impl<T> Image for T where
    T: FromBytes
        + IntoBytes
        + zerocopy::Immutable
        + zerocopy::KnownLayout
        + Copy
        + Send
        + Sync
        + Unpin
        + 'static
{
}

/// The bytes of a session: the start of an [`Image`], or all of it.
///
/// # Invariants
///
/// `len` is at most the size of `I`, and the bytes from there on are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<I> {
    image: I,
    len: usize,
}

impl<I: Image> Data<I> {
    /// No bytes.
    pub fn empty() -> Self {
        // INVARIANT: all bytes are zero.
        Self {
            image: I::new_zeroed(),
            len: 0,
        }
    }

    /// All of `image`.
    pub fn whole(image: I) -> Self {
        // INVARIANT: there is nothing behind the last byte.
        Self {
            image,
            len: size_of::<I>(),
        }
    }

    /// The first `len` bytes of `image`; at most all of it.
    pub fn head(mut image: I, len: usize) -> Self {
        let len = len.min(size_of::<I>());
        // INVARIANT: `len` was bounded, and the rest is made zero.
        image.as_mut_bytes()[len..].fill(0);
        Self { image, len }
    }

    /// The structure, if all of it is there.
    pub fn complete(&self) -> Option<&I> {
        (self.len == size_of::<I>()).then_some(&self.image)
    }

    /// The structure, zero where there are no bytes.
    pub fn image(&self) -> &I {
        &self.image
    }

    /// The bytes there are.
    pub fn as_slice(&self) -> &[u8] {
        &self.image.as_bytes()[..self.len]
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if it, and `rest` bytes more, do not fit; nothing is appended then.
    fn append(&mut self, chunk: &[u8], rest: usize) -> Result {
        let end = self.len + chunk.len();
        if end.checked_add(rest).is_none_or(|all| all > size_of::<I>()) {
            return Err(ENOMEM);
        }
        // INVARIANT: `end` was bounded.
        self.image.as_mut_bytes()[self.len..end].copy_from_slice(chunk);
        self.len = end;
        Ok(())
    }
}

/// What a device expects of the data that it is to load: the way from bytes of a stranger to
/// something that may be loaded.
///
/// It is asked while data come in, when the device must not be, so it holds what there is to
/// compare with.
pub trait Expect: Send + Sync + 'static {
    /// What travels.
    type Image: Image;
    /// What may be loaded. As nothing else is, what is not in it cannot reach the hardware.
    type Verified;
    /// Why data are refused.
    type Reject: Copy + Send + Unpin + Into<Error>;

    /// Bytes at the start of the image that can be judged without the rest. They travel ahead
    /// where there is pre-copy; 0 if there are none.
    const HEAD: usize = 0;

    /// Judges the first [`Expect::HEAD`] bytes as soon as they are there. A refusal fails the
    /// write, and nothing of the session is loaded any more.
    fn check(&self, _head: &Self::Image) -> Result<(), Self::Reject> {
        Ok(())
    }

    /// Parses what has come; [`Data::complete`] says whether it is all. What there is of the
    /// head has passed [`Expect::check`].
    fn verify(&self, data: &Data<Self::Image>) -> Result<Self::Verified, Self::Reject>;
}

/// A session that the user reads from. It only ever gets more data.
pub(super) struct Saving<I: Image> {
    /// The state that the session belongs to is left.
    over: Atomic<bool>,
    /// What there was when the session began.
    begun: Data<I>,
    /// All there is, from when the device has stopped.
    all: SetOnce<Data<I>>,
    waiters: Waiters,
}

impl<I: Image> Saving<I> {
    fn new(begun: Data<I>) -> Result<Arc<Readable<Self>>> {
        Readable::new(init!(Self {
            over: Atomic::new(false),
            begun,
            all: SetOnce::new(),
            waiters: Waiters::new(),
        }))
    }

    /// A session that starts while the device runs, with what is known by then.
    pub(super) fn pre_copy(data: Data<I>) -> Result<Arc<Readable<Self>>> {
        Self::new(data)
    }

    /// A session that starts with all there is.
    pub(super) fn stop_copy(data: Data<I>) -> Result<Arc<Readable<Self>>> {
        let session = Self::new(Data::empty())?;
        session.go_on(data)?;
        Ok(session)
    }

    /// What there is so far.
    pub(super) fn data(&self) -> &Data<I> {
        self.all.as_ref().unwrap_or(&self.begun)
    }

    /// The device has stopped and `data` is all there is.
    ///
    /// # Errors
    ///
    /// [`EIO`] if it does not begin with what there was, which the user may have read.
    pub(super) fn go_on(&self, data: Data<I>) -> Result {
        if !data.as_slice().starts_with(self.begun.as_slice()) {
            return Err(EIO);
        }
        self.all.populate(data);
        self.waiters.wake();
        Ok(())
    }

    /// The state that the session belongs to is left.
    pub(super) fn close(&self) {
        self.over.store(true, Relaxed);
        self.waiters.wake();
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

impl<I: Image> Source for Saving<I> {
    fn ahead(&self, position: usize) -> Result<&[u8]> {
        if self.is_over() {
            return Err(ENODEV);
        }
        // In this order: what comes meanwhile must not look like the end.
        let more = self.all.as_ref().is_none();
        match self.data().as_slice().get(position..) {
            Some(left) if !left.is_empty() => Ok(left),
            _ if more => Err(ENOMSG),
            _ => Ok(&[]),
        }
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn precopy_info(&self, position: usize) -> Result<PrecopyInfo> {
        if self.is_over() || self.all.as_ref().is_some() {
            return Err(EINVAL);
        }
        Ok(PrecopyInfo {
            initial: self.begun.len.saturating_sub(position) as u64,
            dirty: 0,
        })
    }
}

/// How far a [`Resuming`] session is.
enum Progress<R> {
    /// Bytes come in.
    Filling,
    /// The head has come and passed.
    Matched,
    /// What came does not fit; nothing will be loaded.
    Poisoned(R),
    Over,
}

struct Resume<E: Expect> {
    progress: Progress<E::Reject>,
    data: Data<E::Image>,
}

/// A session that the user writes to.
#[pin_data]
pub(super) struct Resuming<E: Expect> {
    expected: E,
    #[pin]
    inner: Mutex<Resume<E>>,
}

impl<E: Expect> Resuming<E> {
    /// A session for a device that expects what `expected` says.
    pub(super) fn new(expected: E) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                expected,
                inner <- new_generic_mutex!(
                    Resume {
                        progress: Progress::Filling,
                        data: Data::empty(),
                    },
                    c"vfio::Resuming::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Parses what has come in. The session goes on: on a failure more may come, unless it is
    /// poisoned.
    pub(super) fn verify(&self) -> Result<E::Verified, E::Reject> {
        let resume = self.inner.lock();
        match resume.progress {
            Progress::Poisoned(reject) => Err(reject),
            _ => self.expected.verify(&resume.data),
        }
    }

    /// The state that the session belongs to is left; what was there is returned.
    pub(super) fn close(&self) -> Data<E::Image> {
        let mut resume = self.inner.lock();
        resume.progress = Progress::Over;
        resume.data
    }
}

impl<E: Expect> Sink for Resuming<E> {
    fn append(&self, chunk: &[u8], rest: usize) -> Result {
        let mut resume = self.inner.lock();
        let Resume { progress, data } = &mut *resume;
        match progress {
            Progress::Filling | Progress::Matched => data.append(chunk, rest)?,
            Progress::Poisoned(_) => return Err(EINVAL),
            Progress::Over => return Err(ENODEV),
        }

        if matches!(progress, Progress::Filling) && data.len >= E::HEAD {
            if let Err(reject) = self.expected.check(data.image()) {
                *progress = Progress::Poisoned(reject);
                return Err(reject.into());
            }
            *progress = Progress::Matched;
        }
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_session)]
mod tests {
    use super::*;
    use zerocopy_derive::{
        Immutable,
        KnownLayout, //
    };

    const HEAD: usize = 4;
    const SIZE: usize = 10;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Ten([u8; SIZE]);

    /// A device that wants heads that start with this byte.
    struct First(u8);

    impl Expect for First {
        type Image = Ten;
        type Verified = Ten;
        type Reject = Error;

        const HEAD: usize = HEAD;

        fn check(&self, head: &Ten) -> Result {
            if head.0[0] == self.0 {
                Ok(())
            } else {
                Err(EPERM)
            }
        }

        fn verify(&self, data: &Data<Ten>) -> Result<Ten> {
            data.complete().copied().ok_or(ENODATA)
        }
    }

    const IMAGE: Ten = Ten([7, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

    #[test]
    fn pre_copy_ends_with_enomsg_and_stop_copy_with_0() -> Result {
        let session = Saving::pre_copy(Data::head(IMAGE, HEAD))?;

        assert_eq!(session.ahead(0)?.len(), HEAD);
        assert_eq!(session.precopy_info(0)?.initial, HEAD as u64);
        assert_eq!(session.ahead(HEAD), Err(ENOMSG));
        assert_eq!(session.precopy_info(HEAD)?.initial, 0);

        session.go_on(Data::whole(IMAGE))?;
        assert_eq!(session.precopy_info(HEAD), Err(EINVAL));
        assert_eq!(session.ahead(HEAD)?.len(), SIZE - HEAD);
        assert_eq!(session.ahead(SIZE)?.len(), 0);

        session.close();
        assert_eq!(session.ahead(HEAD), Err(ENODEV));
        assert_eq!(session.precopy_info(HEAD), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn what_was_read_ahead_stays_true() -> Result {
        let session = Saving::pre_copy(Data::head(IMAGE, HEAD))?;
        let mut other = IMAGE;
        other.0[HEAD - 1] = 0;
        assert_eq!(session.go_on(Data::whole(other)), Err(EIO));
        assert_eq!(session.data(), &Data::head(IMAGE, HEAD));
        assert_eq!(session.precopy_info(0)?.initial, HEAD as u64);
        Ok(())
    }

    #[test]
    fn what_has_not_come_is_zero() {
        let head = Data::head(IMAGE, HEAD);
        assert_eq!(head.image().0, [7, 1, 2, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(head.as_slice(), &IMAGE.0[..HEAD]);
        assert_eq!(head.complete(), None);
        assert_eq!(Data::head(IMAGE, SIZE + 1).complete(), Some(&IMAGE));
    }

    #[test]
    fn stream_may_come_in_pieces() -> Result {
        let session = Resuming::new(First(7))?;
        for piece in IMAGE.0.chunks(3) {
            assert_eq!(session.verify(), Err(ENODATA));
            session.append(piece, 0)?;
        }
        assert_eq!(session.verify(), Ok(IMAGE));
        Ok(())
    }

    #[test]
    fn mismatch_poisons_the_session() -> Result {
        let session = Resuming::new(First(8))?;
        session.append(&IMAGE.0[..HEAD - 1], 0)?;
        assert_eq!(session.verify(), Err(ENODATA));
        assert_eq!(session.append(&IMAGE.0[..1], 0), Err(EPERM));
        assert_eq!(session.append(&IMAGE.0[..1], 0), Err(EINVAL));
        assert_eq!(session.verify(), Err(EPERM));
        Ok(())
    }

    #[test]
    fn too_much_is_refused_before_any_of_it_is_taken() -> Result {
        let session = Resuming::new(First(7))?;
        assert_eq!(session.append(&IMAGE.0, 1), Err(ENOMEM));
        assert_eq!(session.append(&IMAGE.0, usize::MAX), Err(ENOMEM));
        session.append(&IMAGE.0, 0)?;
        assert_eq!(session.append(&IMAGE.0[..1], 0), Err(ENOMEM));
        Ok(())
    }

    #[test]
    fn session_that_is_over_takes_nothing() -> Result {
        let session = Resuming::new(First(7))?;
        session.close();
        assert_eq!(session.append(&IMAGE.0, 0), Err(ENODEV));
        Ok(())
    }
}
