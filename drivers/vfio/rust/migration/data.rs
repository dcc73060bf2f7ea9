// SPDX-License-Identifier: GPL-2.0

//! The bytes of a session, where a device's state is one structure.

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
    pub(super) fn append(&mut self, chunk: &[u8], rest: usize) -> Result {
        let end = self.len + chunk.len();
        if end.checked_add(rest).is_none_or(|all| all > size_of::<I>()) {
            return Err(ENOMEM);
        }
        self.put(chunk);
        Ok(())
    }

    /// Puts `part`, for which there must be room, behind what there is.
    fn put(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        // INVARIANT: where `end` is too much, this does not return.
        self.image.as_mut_bytes()[self.len..end].copy_from_slice(part);
        self.len = end;
    }
}

/// The data of a session that is read from: some at first, and once all.
///
/// Who reads them needs no lock, as what is there stays as it is.
///
/// # Invariants
///
/// - `initial_len` is at most the size of `I`; so is `total_len`, where it is a length, and it is at least
///   `initial_len`.
/// - The first `initial_len` bytes of `image` are never written to.
/// - The others are written to by who has changed `total_len` from [`INCOMPLETE`] to [`FILLING`], and by nobody
///   once it is a length.
pub(super) struct AppendOnce<I> {
    image: UnsafeCell<I>,
    initial_len: usize,
    total_len: Atomic<usize>,
}

/// Not all data are there.
const INCOMPLETE: usize = usize::MAX;
/// Nor now, but they are being written.
const FILLING: usize = INCOMPLETE - 1;

// SAFETY: By the type invariants nothing is written to that a shared reference leads to, and an
// image is `Sync`.
unsafe impl<I: Image> Sync for AppendOnce<I> {}

impl<I: Image> AppendOnce<I> {
    /// `data` are there, and more may come.
    pub(super) fn new(data: &Data<I>) -> Self {
        // INVARIANT: the length of data is at most the size of `I`.
        Self {
            image: UnsafeCell::new(data.image),
            initial_len: data.len,
            total_len: Atomic::new(INCOMPLETE),
        }
    }

    /// `data` are there, which is all.
    pub(super) fn new_complete(data: &Data<I>) -> Self {
        // INVARIANT: as above, and all is what has initial_len.
        Self {
            image: UnsafeCell::new(data.image),
            initial_len: data.len,
            total_len: Atomic::new(data.len),
        }
    }

    /// How many bytes all are, if they are there.
    fn total_len(&self) -> Option<usize> {
        match self.total_len.load(Acquire) {
            INCOMPLETE | FILLING => None,
            len => Some(len),
        }
    }

    /// Whether all data are there.
    pub(super) fn is_complete(&self) -> bool {
        self.total_len().is_some()
    }

    /// Bytes that were there at first.
    pub(super) fn initial_len(&self) -> usize {
        self.initial_len
    }

    /// The bytes there are.
    pub(super) fn as_slice(&self) -> &[u8] {
        let len = self.total_len().unwrap_or(self.initial_len);
        // SAFETY: By the type invariants so many bytes are in the image, and nobody writes to
        // them any more; those of `total_len` were written before it was seen to be a length. As an
        // image is `IntoBytes`, there are no others than initialised ones.
        unsafe { core::slice::from_raw_parts(self.image.get().cast(), len) }
    }

    /// A copy of what there is.
    pub(super) fn data(&self) -> Data<I> {
        let mut data = Data::empty();
        data.put(self.as_slice());
        data
    }

    /// All there is, is `data`.
    ///
    /// # Errors
    ///
    /// [`EIO`] if they do not begin with what there was, which the user may have read, or if all
    /// was there already.
    pub(super) fn complete(&self, data: &Data<I>) -> Result {
        let bytes = data.as_slice();
        if !bytes.starts_with(self.as_slice()) {
            return Err(EIO);
        }
        // INVARIANT: one call at most comes past this.
        self.total_len
            .cmpxchg(INCOMPLETE, FILLING, Relaxed)
            .map_err(|_| EIO)?;
        let rest = &bytes[self.initial_len..];
        // SAFETY: `rest` fits behind the first `initial_len` bytes. By the type invariants nobody else
        // writes there, and no reference leads there.
        unsafe {
            let end = self.image.get().cast::<u8>().add(self.initial_len);
            core::ptr::copy_nonoverlapping(rest.as_ptr(), end, rest.len());
        }
        // INVARIANT: `bytes` is no longer than an image and begins with what was there. It is not
        // written to any more.
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
