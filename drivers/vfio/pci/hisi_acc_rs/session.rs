// SPDX-License-Identifier: GPL-2.0

//! What a data file is connected to: the stream of one migration, and how far it has got.
//!
//! A session knows nothing of the device. It outlives the state that made it, as the user may
//! keep the file; from then on it only says that it is over.

use crate::{
    matching::{
        Expected,
        Reject,
        Verified, //
    },
    wire::{
        Image,
        MATCH_SIZE,
        REGISTERS_SIZE,
        SIZE, //
    },
};
use kernel::{
    new_mutex,
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
use vfio::data_file::{
    PrecopyInfo,
    Readable,
    Sink,
    Source,
    Waiters, //
};

/// Number of a session, counted per device from 1.
pub(crate) type Id = u64;

/// The bytes of a session, complete or not.
#[derive(Clone, Copy)]
pub(crate) struct Data {
    bytes: [u8; SIZE],
    len: usize,
}

impl Data {
    /// Nothing yet.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; SIZE],
        len: 0,
    };

    /// The first `len` bytes of `image`; at most all of it.
    pub(crate) fn new(image: Image, len: usize) -> Self {
        Self {
            bytes: image.to_bytes(),
            len: len.min(SIZE),
        }
    }

    /// The structure, zero where there are no bytes.
    pub(crate) fn image(&self) -> Image {
        Image::from_bytes(&self.bytes)
    }

    /// The part of the structure that is no address, zero where there are no bytes.
    pub(crate) fn registers(&self) -> &[u8] {
        &self.bytes[..REGISTERS_SIZE]
    }

    /// The match data, zero where there are no bytes.
    fn head(&self) -> [u8; MATCH_SIZE] {
        let mut head = [0; MATCH_SIZE];
        head.copy_from_slice(&self.bytes[..MATCH_SIZE]);
        head
    }

    /// What follows the match data.
    fn rest(&self) -> Rest {
        (self.len == SIZE).then(|| {
            let mut rest = [0; SIZE - MATCH_SIZE];
            rest.copy_from_slice(&self.bytes[MATCH_SIZE..]);
            rest
        })
    }

    /// The bytes there are.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether this can be all of a stream.
    pub(crate) fn is_complete(&self) -> bool {
        self.len == SIZE || self.len == MATCH_SIZE
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if it, and `rest` bytes more, do not fit; nothing is appended then.
    fn append(&mut self, chunk: &[u8], rest: usize) -> Result {
        let end = self.len + chunk.len();
        if end.checked_add(rest).is_none_or(|all| all > SIZE) {
            return Err(ENOMEM);
        }
        self.put(chunk);
        Ok(())
    }

    /// Puts `part`, for which there is room, behind what there is.
    fn put(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        self.bytes[self.len..end].copy_from_slice(part);
        self.len = end;
    }

    /// Parses the data for the device `expected`.
    pub(crate) fn verify(&self, expected: &Expected) -> Result<Verified, Reject> {
        Verified::parse(&self.bytes, self.len, expected)
    }
}

/// What follows the match data, or `None` if nothing does.
type Rest = Option<[u8; SIZE - MATCH_SIZE]>;

/// A session that the user reads from. It only ever gets more data.
pub(crate) struct SaveSession {
    /// The session's number.
    pub(crate) id: Id,
    /// The state that the session belongs to is left.
    over: Atomic<bool>,
    head: [u8; MATCH_SIZE],
    /// There when the function has been stopped and read.
    rest: SetOnce<Rest>,
    waiters: Waiters,
}

impl SaveSession {
    fn new(id: Id, data: &Data) -> Result<Arc<Readable<Self>>> {
        let head = data.head();
        Readable::new(init!(Self {
            id,
            over: Atomic::new(false),
            head,
            rest: SetOnce::new(),
            waiters: Waiters::new(),
        }))
    }

    /// A session that begins while the function runs, with the match data in `data`.
    pub(crate) fn pre_copy(id: Id, data: &Data) -> Result<Arc<Readable<Self>>> {
        Self::new(id, data)
    }

    /// A session that begins when the function is stopped, with all its data.
    pub(crate) fn stop_copy(id: Id, data: &Data) -> Result<Arc<Readable<Self>>> {
        let session = Self::new(id, data)?;
        session.complete(data);
        Ok(session)
    }

    /// The function has stopped, and `data` is all there is. The match data in it are those that
    /// the session began with.
    pub(crate) fn complete(&self, data: &Data) {
        self.rest.populate(data.rest());
        self.waiters.wake();
    }

    /// What there is.
    pub(crate) fn data(&self) -> Data {
        let mut data = Data::EMPTY;
        data.put(&self.head);
        if let Some(Some(rest)) = self.rest.as_ref() {
            data.put(rest);
        }
        data
    }

    /// Bytes that there are.
    pub(crate) fn len(&self) -> usize {
        match self.rest.as_ref() {
            Some(Some(_)) => SIZE,
            _ => MATCH_SIZE,
        }
    }

    /// The state that the session belongs to is left.
    pub(crate) fn close(&self) {
        self.over.store(true, Relaxed);
        self.waiters.wake();
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

impl Source for SaveSession {
    fn ahead(&self, position: usize) -> Result<&[u8]> {
        if self.is_over() {
            return Err(ENODEV);
        }
        match (self.head.get(position..), self.rest.as_ref()) {
            (Some(head), _) if !head.is_empty() => Ok(head),
            (_, None) => Err(ENOMSG),
            (_, Some(None)) => Ok(&[]),
            (_, Some(Some(rest))) => Ok(rest.get(position - MATCH_SIZE..).unwrap_or(&[])),
        }
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn precopy_info(&self, position: usize) -> Result<PrecopyInfo> {
        if self.is_over() || self.rest.as_ref().is_some() {
            return Err(EINVAL);
        }
        Ok(PrecopyInfo {
            initial: MATCH_SIZE.saturating_sub(position) as u64,
            dirty: 0,
        })
    }
}

/// How far a [`ResumeSession`] is.
enum ResumePhase {
    /// Bytes come in.
    Filling,
    /// The match data have come and fit this device.
    Matched,
    /// What came does not fit; nothing will be loaded.
    Poisoned,
    Over,
}

struct Resume {
    phase: ResumePhase,
    data: Data,
}

/// A session that the user writes to.
#[pin_data]
pub(crate) struct ResumeSession {
    /// The session's number.
    pub(crate) id: Id,
    expected: Expected,
    #[pin]
    inner: Mutex<Resume>,
}

impl ResumeSession {
    /// A session for the device `expected`.
    pub(crate) fn new(id: Id, expected: Expected) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                id,
                expected,
                inner <- new_mutex!(
                    Resume {
                        phase: ResumePhase::Filling,
                        data: Data::EMPTY,
                    },
                    "ResumeSession::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Parses what has come in. The session goes on: on a failure more may come, unless it is
    /// poisoned.
    pub(crate) fn verify(&self) -> Result<Verified, Reject> {
        self.inner.lock().data.verify(&self.expected)
    }

    /// Why the session is poisoned, if it is.
    pub(crate) fn reject(&self) -> Option<Reject> {
        let resume = self.inner.lock();
        match resume.phase {
            ResumePhase::Poisoned => self.expected.check(&resume.data.image()).err(),
            _ => None,
        }
    }

    /// What has come in.
    pub(crate) fn data(&self) -> Data {
        self.inner.lock().data
    }

    /// Bytes that have come in.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().data.len
    }

    /// The state that the session belongs to is left.
    pub(crate) fn close(&self) {
        self.inner.lock().phase = ResumePhase::Over;
    }
}

impl Sink for ResumeSession {
    fn append(&self, chunk: &[u8], rest: usize) -> Result {
        let mut resume = self.inner.lock();
        let Resume { phase, data } = &mut *resume;
        match phase {
            ResumePhase::Filling | ResumePhase::Matched => data.append(chunk, rest)?,
            ResumePhase::Poisoned => return Err(EINVAL),
            ResumePhase::Over => return Err(ENODEV),
        }

        if matches!(phase, ResumePhase::Filling) && data.len >= MATCH_SIZE {
            if let Err(reject) = self.expected.check(&data.image()) {
                *phase = ResumePhase::Poisoned;
                return Err(reject.into());
            }
            *phase = ResumePhase::Matched;
        }
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_session)]
mod tests {
    use super::*;
    use crate::wire;

    const HERE: Expected = Expected {
        device: 0xa251,
        queue_count: 8,
        isolation: 0,
    };

    fn stream() -> [u8; SIZE] {
        let mut image = Image::from_bytes(&[0; SIZE]);
        image.magic.set(wire::MAGIC_V2);
        image.device.set(0xa251);
        image.queue_count.set(8);
        image.major.set(1);
        image.to_bytes()
    }

    #[test]
    fn pre_copy_ends_with_enomsg_and_stop_copy_with_0() -> Result {
        let data = Data::new(Image::from_bytes(&stream()), MATCH_SIZE);
        let session = SaveSession::pre_copy(1, &data)?;

        assert_eq!(session.ahead(0)?.len(), MATCH_SIZE);
        assert_eq!(session.ahead(30)?.len(), MATCH_SIZE - 30);
        assert_eq!(session.precopy_info(0)?.initial, MATCH_SIZE as u64);
        assert_eq!(session.ahead(MATCH_SIZE), Err(ENOMSG));
        assert_eq!(session.precopy_info(MATCH_SIZE)?.initial, 0);
        assert_eq!(session.len(), MATCH_SIZE);

        session.complete(&Data::new(Image::from_bytes(&stream()), SIZE));
        assert_eq!(session.precopy_info(0), Err(EINVAL));
        assert_eq!(session.ahead(MATCH_SIZE)?.len(), SIZE - MATCH_SIZE);
        assert_eq!(session.ahead(SIZE - 1)?.len(), 1);
        assert_eq!(session.ahead(SIZE)?.len(), 0);
        assert_eq!(session.data().as_slice(), &stream());

        session.close();
        assert_eq!(session.ahead(0), Err(ENODEV));
        assert_eq!(session.precopy_info(0), Err(EINVAL));
        assert_eq!(session.len(), SIZE);
        Ok(())
    }

    #[test]
    fn match_data_alone_end_with_0() -> Result {
        let data = Data::new(Image::from_bytes(&stream()), MATCH_SIZE);
        let session = SaveSession::stop_copy(1, &data)?;
        assert_eq!(session.ahead(0)?.len(), MATCH_SIZE);
        assert_eq!(session.ahead(MATCH_SIZE)?.len(), 0);
        assert_eq!(session.len(), MATCH_SIZE);
        assert_eq!(session.data().as_slice(), &stream()[..MATCH_SIZE]);
        Ok(())
    }

    #[test]
    fn what_has_not_come_is_shown_as_zero() {
        let mut bytes = stream();
        bytes[MATCH_SIZE..].fill(0xff);
        let whole = Data::new(Image::from_bytes(&bytes), SIZE);
        assert_eq!(whole.registers(), &bytes[..REGISTERS_SIZE]);

        let mut part = Data::EMPTY;
        assert_eq!(part.append(&bytes[..MATCH_SIZE], 0), Ok(()));
        assert_eq!(part.registers().len(), REGISTERS_SIZE);
        assert!(part.registers()[MATCH_SIZE..].iter().all(|byte| *byte == 0));
        assert_eq!(part.as_slice(), &bytes[..MATCH_SIZE]);
    }

    #[test]
    fn stream_may_come_in_pieces() -> Result {
        let session = ResumeSession::new(1, HERE)?;
        for piece in stream().chunks(7) {
            session.append(piece, 0)?;
        }
        assert_eq!(session.verify(), Ok(Verified::NoDriver));
        Ok(())
    }

    #[test]
    fn mismatch_poisons_the_session() -> Result {
        let session = ResumeSession::new(1, HERE)?;
        let mut bytes = stream();
        bytes[8] = 9;
        session.append(&bytes[..39], 0)?;
        assert!(session.reject().is_none());
        assert_eq!(session.append(&bytes[39..40], 0), Err(EINVAL));
        assert_eq!(session.append(&bytes[40..41], 0), Err(EINVAL));
        assert_eq!(session.verify().err(), session.reject());
        assert!(session.reject().is_some());
        Ok(())
    }

    #[test]
    fn too_much_is_refused_before_any_of_it_is_taken() -> Result {
        let session = ResumeSession::new(1, HERE)?;
        let bytes = stream();
        assert_eq!(session.append(&bytes, 1), Err(ENOMEM));
        assert_eq!(session.append(&bytes, usize::MAX), Err(ENOMEM));
        session.append(&bytes, 0)?;
        assert_eq!(session.append(&bytes[..1], 0), Err(ENOMEM));
        Ok(())
    }

    #[test]
    fn session_that_is_over_takes_nothing() -> Result {
        let session = ResumeSession::new(1, HERE)?;
        session.close();
        assert_eq!(session.append(&stream(), 0), Err(ENODEV));
        Ok(())
    }
}
