// SPDX-License-Identifier: GPL-2.0

//! The data of a session, for devices whose state is one structure.

use core::cell::UnsafeCell;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// A structure that is transferred as its bytes.
///
/// It should consist of [`zerocopy::byteorder::little_endian`] types, so that hosts of different
/// endianness understand each other.
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

/// The data of a session: the beginning of an [`Image`], or all of it.
///
/// # Invariants
///
/// `len` is at most the size of `I`, and the bytes of `image` from `len` on are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<I> {
    image: I,
    len: usize,
}

impl<I: Image> Data<I> {
    /// Creates data without bytes.
    pub fn empty() -> Self {
        // INVARIANT: All bytes are zero.
        Self {
            image: I::new_zeroed(),
            len: 0,
        }
    }

    /// Creates data of all bytes of `image`.
    pub fn whole(image: I) -> Self {
        // INVARIANT: `len` is the size of `I`, so no bytes follow.
        Self {
            image,
            len: size_of::<I>(),
        }
    }

    /// Creates data of the first `len` bytes of `image`, or of all if there are fewer.
    pub fn head(mut image: I, len: usize) -> Self {
        let len = len.min(size_of::<I>());
        // INVARIANT: `len` was limited to the size, and the remaining bytes are cleared.
        image.as_mut_bytes()[len..].fill(0);
        Self { image, len }
    }

    /// Returns the structure, if the data is complete.
    pub fn complete(&self) -> Option<&I> {
        (self.len == size_of::<I>()).then_some(&self.image)
    }

    /// Returns the structure. Missing bytes are zero.
    pub fn image(&self) -> &I {
        &self.image
    }

    /// Returns the bytes of the data.
    pub fn as_slice(&self) -> &[u8] {
        &self.image.as_bytes()[..self.len]
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if `chunk` and `rest` more bytes do not fit. Nothing is appended then.
    pub(super) fn append(&mut self, chunk: &[u8], rest: usize) -> Result {
        let end = self.len + chunk.len();
        if end.checked_add(rest).is_none_or(|all| all > size_of::<I>()) {
            return Err(ENOMEM);
        }
        self.put(chunk);
        Ok(())
    }

    /// Appends `part`. Panics if it does not fit.
    fn put(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        // INVARIANT: Slicing panics if `end` exceeds the size of `I`.
        self.image.as_mut_bytes()[self.len..end].copy_from_slice(part);
        self.len = end;
    }
}

/// The data of a session that is read from: an initial part, which is completed once.
///
/// Reading needs no lock, because bytes that can be read never change.
///
/// # Invariants
///
/// - `initial_len` is at most the size of `I`. If `total_len` is a length, it is at least
///   `initial_len` and at most the size of `I`.
/// - The first `initial_len` bytes of `image` are never written.
/// - The other bytes are written only by the thread that changed `total_len` from [`INCOMPLETE`] to
///   [`FILLING`], and no more once `total_len` is a length.
pub(super) struct AppendOnce<I> {
    image: UnsafeCell<I>,
    initial_len: usize,
    total_len: Atomic<usize>,
}

/// The value of `total_len` while only the initial part is there.
const INCOMPLETE: usize = usize::MAX;
/// The value of `total_len` while the rest is being written.
const FILLING: usize = INCOMPLETE - 1;

// SAFETY: By the type invariants bytes that are accessible through a shared reference are not
// written, and an image is `Sync`.
unsafe impl<I: Image> Sync for AppendOnce<I> {}

impl<I: Image> AppendOnce<I> {
    /// Creates a buffer with `data` as the initial part. More data may be added.
    pub(super) fn new(data: &Data<I>) -> Self {
        // INVARIANT: By the type invariants of `data` its length is at most the size of `I`.
        Self {
            image: UnsafeCell::new(data.image),
            initial_len: data.len,
            total_len: Atomic::new(INCOMPLETE),
        }
    }

    /// Creates a buffer that `data` completes already.
    pub(super) fn new_complete(data: &Data<I>) -> Self {
        // INVARIANT: As above, and `total_len` equals `initial_len`.
        Self {
            image: UnsafeCell::new(data.image),
            initial_len: data.len,
            total_len: Atomic::new(data.len),
        }
    }

    /// Returns the total number of bytes, if the data is complete.
    fn total_len(&self) -> Option<usize> {
        match self.total_len.load(Acquire) {
            INCOMPLETE | FILLING => None,
            len => Some(len),
        }
    }

    /// Returns whether the data is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.total_len().is_some()
    }

    /// Returns the number of bytes in the initial part.
    pub(super) fn initial_len(&self) -> usize {
        self.initial_len
    }

    /// Returns the bytes of the data.
    pub(super) fn as_slice(&self) -> &[u8] {
        let len = self.total_len().unwrap_or(self.initial_len);
        // SAFETY: By the type invariants the image has at least `len` bytes, and they are not
        // written any more: those after the initial part were written before `total_len` was
        // observed to be a length. An image is `IntoBytes`, so all its bytes are initialised.
        unsafe { core::slice::from_raw_parts(self.image.get().cast(), len) }
    }

    /// Returns a copy of the bytes that are there.
    pub(super) fn data(&self) -> Data<I> {
        let mut data = Data::empty();
        data.put(self.as_slice());
        data
    }

    /// Completes the buffer: `data` is all of the data.
    ///
    /// # Errors
    ///
    /// [`EIO`] if `data` does not begin with the initial part, which the user may have read, or if
    /// the buffer was complete already.
    pub(super) fn complete(&self, data: &Data<I>) -> Result {
        let bytes = data.as_slice();
        if !bytes.starts_with(self.as_slice()) {
            return Err(EIO);
        }
        // INVARIANT: At most one call gets past this exchange.
        self.total_len
            .cmpxchg(INCOMPLETE, FILLING, Relaxed)
            .map_err(|_| EIO)?;
        let rest = &bytes[self.initial_len..];
        // SAFETY: `rest` fits behind the first `initial_len` bytes. By the type invariants no other
        // thread writes there, and there is no reference to these bytes.
        unsafe {
            let end = self.image.get().cast::<u8>().add(self.initial_len);
            core::ptr::copy_nonoverlapping(rest.as_ptr(), end, rest.len());
        }
        // INVARIANT: `bytes` is not longer than an image and begins with the initial part. The
        // image is not written any more.
        self.total_len.store(bytes.len(), Release);
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_data)]
mod tests {
    use super::*;

    const IMAGE: [u8; 4] = [7, 1, 2, 3];

    #[test]
    fn missing_tail_reads_as_zero() {
        let head = Data::head(IMAGE, 1);
        assert_eq!(head.image(), &[7, 0, 0, 0]);
        assert_eq!(head.as_slice(), &[7]);
        assert_eq!(head.complete(), None);
        assert_eq!(Data::head(IMAGE, 5).complete(), Some(&IMAGE));
    }

    #[test]
    fn published_bytes_do_not_change() {
        let buffer = AppendOnce::new(&Data::head(IMAGE, 2));
        let initial = buffer.as_slice();
        let other = Data::whole([7, 0, 2, 3]);
        assert_eq!(buffer.complete(&other), Err(EIO));
        assert_eq!(buffer.complete(&Data::head(IMAGE, 1)), Err(EIO));
        assert!(!buffer.is_complete());
        assert_eq!(buffer.data(), Data::head(IMAGE, 2));

        assert_eq!(buffer.complete(&Data::whole(IMAGE)), Ok(()));
        assert!(buffer.is_complete());
        assert_eq!(buffer.as_slice(), &IMAGE);
        assert_eq!(initial, &IMAGE[..2]);
        assert_eq!(buffer.initial_len(), 2);
    }

    #[test]
    fn completed_once() {
        let buffer = AppendOnce::new(&Data::head(IMAGE, 2));
        assert_eq!(buffer.complete(&Data::head(IMAGE, 2)), Ok(()));
        assert!(buffer.is_complete());
        assert_eq!(buffer.complete(&Data::whole(IMAGE)), Err(EIO));
        assert_eq!(buffer.as_slice(), &IMAGE[..2]);
        let whole = AppendOnce::new_complete(&Data::head(IMAGE, 3));
        assert_eq!(whole.complete(&Data::whole(IMAGE)), Err(EIO));
        assert_eq!(whole.data(), Data::head(IMAGE, 3));
    }
}
