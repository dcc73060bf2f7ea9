// SPDX-License-Identifier: GPL-2.0

//! User memory, which belongs to the test.

use crate::{
    error::{code::EFAULT, Result},
    ffi::c_void,
    transmute::{AsBytes, FromBytes},
};

#[derive(Clone, Copy)]
pub struct UserPtr(*mut u8);

impl UserPtr {
    pub fn from_addr(addr: usize) -> Self {
        Self(addr as *mut u8)
    }

    pub fn from_ptr(ptr: *mut c_void) -> Self {
        Self(ptr.cast())
    }
}

pub struct UserSlice {
    ptr: UserPtr,
    length: usize,
}

impl UserSlice {
    pub fn new(ptr: UserPtr, length: usize) -> Self {
        Self { ptr, length }
    }

    pub fn reader(self) -> UserSliceReader {
        UserSliceReader(self)
    }

    pub fn writer(self) -> UserSliceWriter {
        UserSliceWriter(self)
    }

    pub fn reader_writer(self) -> (UserSliceReader, UserSliceWriter) {
        let UserSlice { ptr, length } = self;
        (Self { ptr, length }.reader(), self.writer())
    }

    fn take(&mut self, count: usize) -> Result<*mut u8> {
        if count > self.length {
            return Err(EFAULT);
        }
        let taken = self.ptr.0;
        self.ptr.0 = taken.wrapping_add(count);
        self.length -= count;
        Ok(taken)
    }
}

pub struct UserSliceReader(UserSlice);

impl UserSliceReader {
    pub fn len(&self) -> usize {
        self.0.length
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn read_slice(&mut self, out: &mut [u8]) -> Result {
        let from = self.0.take(out.len())?;
        // SAFETY: The test passes memory that it owns with its length.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    pub fn read<T: FromBytes>(&mut self) -> Result<T> {
        let from = self.0.take(size_of::<T>())?;
        // SAFETY: The test passes memory that it owns with its length, and all bit patterns are
        // valid for `T`.
        Ok(unsafe { from.cast::<T>().read_unaligned() })
    }
}

pub struct UserSliceWriter(UserSlice);

impl UserSliceWriter {
    pub fn len(&self) -> usize {
        self.0.length
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn write_slice(&mut self, data: &[u8]) -> Result {
        let to = self.0.take(data.len())?;
        // SAFETY: The test passes memory that it owns with its length.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        Ok(())
    }

    pub fn write<T: AsBytes>(&mut self, value: &T) -> Result {
        // SAFETY: `T` has no padding.
        self.write_slice(unsafe {
            core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>())
        })
    }

    pub fn write_slice_partial(&mut self, data: &[u8], offset: usize) -> Result<usize> {
        let data = data.get(offset..).unwrap_or_default();
        let count = data.len().min(self.len());
        self.write_slice(&data[..count])?;
        Ok(count)
    }
}
