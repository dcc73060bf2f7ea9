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
        Arc,
        Mutex, //
    }, //
};
use vfio::data_file::{
    PrecopyInfo,
    Readiness,
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
        self.bytes[self.len..end].copy_from_slice(chunk);
        self.len = end;
        Ok(())
    }

    /// Parses the data for the device `expected`.
    pub(crate) fn verify(&self, expected: &Expected) -> Result<Verified, Reject> {
        Verified::parse(&self.bytes, self.len, expected)
    }
}

/// How far a [`SaveSession`] is.
enum SavePhase {
    PreCopy,
    StopCopy,
    Over,
}

struct Save {
    phase: SavePhase,
    data: Data,
    position: usize,
}

/// A session that the user reads from.
#[pin_data]
pub(crate) struct SaveSession {
    /// The session's number.
    pub(crate) id: Id,
    waiters: Waiters,
    #[pin]
    inner: Mutex<Save>,
}

impl SaveSession {
    fn new(id: Id, phase: SavePhase, data: Data) -> Result<Arc<Self>> {
        let save = Save {
            phase,
            data,
            position: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                id,
                waiters: Waiters::new(),
                inner <- new_mutex!(save, "SaveSession::inner"),
            }),
            GFP_KERNEL,
        )
    }

    /// A session that starts while the device runs, with the match data.
    pub(crate) fn pre_copy(id: Id, data: Data) -> Result<Arc<Self>> {
        Self::new(id, SavePhase::PreCopy, data)
    }

    /// A session that starts with all there is.
    pub(crate) fn stop_copy(id: Id, data: Data) -> Result<Arc<Self>> {
        Self::new(id, SavePhase::StopCopy, data)
    }

    /// What there is so far.
    pub(crate) fn data(&self) -> Data {
        self.inner.lock().data
    }

    /// The device has stopped and `data` is all there is. What the user has read of the match
    /// data is the same in them, so the position stays.
    pub(crate) fn complete(&self, data: Data) {
        {
            let mut save = self.inner.lock();
            save.phase = SavePhase::StopCopy;
            save.data = data;
        }
        self.waiters.wake();
    }

    /// The state that the session belongs to is left; what was there is returned.
    pub(crate) fn close(&self) -> Data {
        let data = {
            let mut save = self.inner.lock();
            save.phase = SavePhase::Over;
            save.data
        };
        self.waiters.wake();
        data
    }
}

impl Source for SaveSession {
    fn peek(&self, out: &mut [u8]) -> Result<usize> {
        let save = self.inner.lock();
        if matches!(save.phase, SavePhase::Over) {
            return Err(ENODEV);
        }

        let left = save.data.as_slice().get(save.position..).unwrap_or(&[]);
        if left.is_empty() && !out.is_empty() && matches!(save.phase, SavePhase::PreCopy) {
            return Err(ENOMSG);
        }
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        Ok(count)
    }

    fn readiness(&self) -> Readiness {
        let save = self.inner.lock();
        match save.phase {
            SavePhase::PreCopy if save.position >= save.data.len => Readiness::Nothing,
            SavePhase::PreCopy | SavePhase::StopCopy => Readiness::Readable,
            SavePhase::Over => Readiness::Over,
        }
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn consume(&self, count: usize) {
        self.inner.lock().position += count;
    }

    fn precopy_info(&self) -> Result<PrecopyInfo> {
        let save = self.inner.lock();
        match save.phase {
            SavePhase::PreCopy => Ok(PrecopyInfo {
                initial: save.data.len.saturating_sub(save.position) as u64,
                dirty: 0,
            }),
            SavePhase::StopCopy | SavePhase::Over => Err(EINVAL),
        }
    }
}

/// How far a [`ResumeSession`] is.
enum ResumePhase {
    /// Bytes come in.
    Filling,
    /// The match data have come and fit this device.
    Matched,
    /// What came does not fit; nothing will be loaded.
    Poisoned(Reject),
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
        let resume = self.inner.lock();
        match resume.phase {
            ResumePhase::Poisoned(reject) => Err(reject),
            _ => resume.data.verify(&self.expected),
        }
    }

    /// Why the session is poisoned, if it is.
    pub(crate) fn reject(&self) -> Option<Reject> {
        match self.inner.lock().phase {
            ResumePhase::Poisoned(reject) => Some(reject),
            _ => None,
        }
    }

    /// The state that the session belongs to is left; what was there is returned.
    pub(crate) fn close(&self) -> Data {
        let mut resume = self.inner.lock();
        resume.phase = ResumePhase::Over;
        resume.data
    }
}

impl Sink for ResumeSession {
    fn append(&self, chunk: &[u8], rest: usize) -> Result {
        let mut resume = self.inner.lock();
        let Resume { phase, data } = &mut *resume;
        match phase {
            ResumePhase::Filling | ResumePhase::Matched => data.append(chunk, rest)?,
            ResumePhase::Poisoned(_) => return Err(EINVAL),
            ResumePhase::Over => return Err(ENODEV),
        }

        if matches!(phase, ResumePhase::Filling) && data.len >= MATCH_SIZE {
            *phase = match self.expected.check(&data.image()) {
                Ok(()) => ResumePhase::Matched,
                Err(reject) => ResumePhase::Poisoned(reject),
            };
            if let ResumePhase::Poisoned(reject) = *phase {
                return Err(reject.into());
            }
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
        let session = SaveSession::pre_copy(1, data)?;
        let mut out = [0; 64];

        assert_eq!(session.readiness(), Readiness::Readable);
        assert_eq!(session.peek(&mut out), Ok(MATCH_SIZE));
        assert_eq!(session.precopy_info()?.initial, MATCH_SIZE as u64);
        session.consume(MATCH_SIZE);
        assert_eq!(session.peek(&mut out), Err(ENOMSG));
        assert_eq!(session.readiness(), Readiness::Nothing);
        assert_eq!(session.precopy_info()?.initial, 0);

        session.complete(Data::new(Image::from_bytes(&stream()), SIZE));
        assert_eq!(session.precopy_info(), Err(EINVAL));
        assert_eq!(session.peek(&mut out), Ok(64));
        session.consume(SIZE - MATCH_SIZE);
        assert_eq!(session.peek(&mut out), Ok(0));
        assert_eq!(session.readiness(), Readiness::Readable);

        session.close();
        assert_eq!(session.readiness(), Readiness::Over);
        assert_eq!(session.peek(&mut out), Err(ENODEV));
        assert_eq!(session.precopy_info(), Err(EINVAL));
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
