// SPDX-License-Identifier: GPL-2.0

//! The file operations of a data file, which copy its data from and to user memory.
//!
//! C headers: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use super::session::{
    Readable,
    ResumingSession,
    SavingSession,
    Writable, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::from_err_ptr,
    fs::File,
    module::this_module,
    prelude::*,
    sync::{
        aref::ARef,
        poll::PollTable,
        Arc,
        ArcBorrow, //
    },
    transmute,
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// Number of bytes that are copied from the user to a session in one step.
const CHUNK: usize = 256;

// SAFETY: The structure consists of integers, for which all bit patterns are valid.
unsafe impl transmute::FromBytes for bindings::vfio_precopy_info {}
// SAFETY: The structure consists of integers and has no padding: two of 4 bytes and two of 8.
unsafe impl transmute::AsBytes for bindings::vfio_precopy_info {}

fn open<T: Send + Sync + 'static>(
    name: &CStr,
    private: Arc<T>,
    ops: &'static kernel::bindings::file_operations,
    flags: u32,
) -> Result<ARef<File>> {
    let private = private.into_foreign();

    // SAFETY: `ops` expect a `private` of this type, and own it from here on if the call succeeds.
    let file = from_err_ptr(unsafe {
        // CAST: The flags are small.
        bindings::anon_inode_getfile(name.as_char_ptr(), ops, private, flags as c_int)
    });
    let file = match file {
        Ok(file) => file,
        Err(e) => {
            // SAFETY: `private` comes from `into_foreign()` above, and no file owns it.
            drop(unsafe { Arc::<T>::from_foreign(private) });
            return Err(e);
        }
    };

    // SAFETY: The file is new, and nothing else uses it. `stream_open()` always succeeds.
    unsafe { bindings::stream_open((*file).f_inode, file) };

    let file = core::ptr::NonNull::new(file).ok_or(ENOMEM)?;
    // SAFETY: `anon_inode_getfile()` returns one reference, which passes to the `ARef`. The file is
    // not in a file table yet, so its position is not used.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}

/// # Safety
///
/// `file` must have been created by [`open`] for a `T`, and live for `'a`.
unsafe fn private<'a, T: 'static>(file: *mut kernel::bindings::file) -> ArcBorrow<'a, T> {
    // SAFETY: By the safety requirements `private_data` comes from `into_foreign()`; only
    // `release_callback` takes the reference back.
    unsafe { Arc::<T>::borrow((*file).private_data) }
}

/// # Safety
///
/// `file` must have been created by [`open`] for a `T`, and be in release.
unsafe extern "C" fn release_callback<T: 'static>(
    _inode: *mut kernel::bindings::inode,
    file: *mut kernel::bindings::file,
) -> c_int {
    // SAFETY: By the safety requirements the file is being released, so the reference is not
    // borrowed any more.
    drop(unsafe { Arc::<T>::from_foreign((*file).private_data) });
    0
}

fn user_slice(buf: *const c_char, len: usize) -> UserSlice {
    UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len)
}

fn to_ssize(result: Result<usize>) -> isize {
    match result {
        // CAST: The count is at most the requested length, which fits.
        Ok(count) => count as isize,
        Err(e) => e.to_errno() as isize,
    }
}

/// The operations of a file that data is read from.
pub(super) struct SavingFileOps<S: SavingSession>(PhantomData<S>);

impl<S: SavingSession> SavingFileOps<S> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<S::OwnerModule>().as_ptr(),
        read: Some(Self::read_callback),
        poll: Some(Self::poll_callback),
        unlocked_ioctl: Some(Self::ioctl_callback),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: kernel::bindings::compat_ptr_ioctl,
        release: Some(release_callback::<Readable<S>>),
        ..pin_init::zeroed()
    };

    /// Creates the file of `session`, named `name`.
    pub(super) fn open(name: &CStr, session: Arc<Readable<S>>) -> Result<ARef<File>> {
        open(name, session, &Self::OPS, kernel::bindings::O_RDONLY)
    }

    /// # Safety
    ///
    /// `file` must have been created by [`SavingFileOps::open`] for `S`.
    unsafe extern "C" fn read_callback(
        file: *mut kernel::bindings::file,
        buf: *mut c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: By the safety requirements `file` was created for a `Readable<S>`.
        let readable = unsafe { private::<Readable<S>>(file) };
        to_ssize(Self::copy_out(&readable, user_slice(buf, len)))
    }

    fn copy_out(readable: &Readable<S>, user: UserSlice) -> Result<usize> {
        let mut writer = user.writer();
        let mut position = readable.position.lock();

        let bytes = match readable.ahead(*position) {
            // A zero-length read must not fail with `ENOMSG`.
            Err(e) if e == ENOMSG && writer.is_empty() => &[],
            ahead => ahead?,
        };
        let count = writer.write_slice_partial(bytes, 0)?;
        *position += count;
        Ok(count)
    }

    /// # Safety
    ///
    /// `file` must have been created by [`SavingFileOps::open`] for `S`; `table` must be null or
    /// valid.
    unsafe extern "C" fn poll_callback(
        file: *mut kernel::bindings::file,
        table: *mut kernel::bindings::poll_table_struct,
    ) -> kernel::bindings::__poll_t {
        // SAFETY: By the safety requirements `file` was created for a `Readable<S>`.
        let readable = unsafe { private::<Readable<S>>(file) };
        // SAFETY: The file lives as long as this call. It is a stream, whose position is not used,
        // and the reference does not leave this thread.
        let file = unsafe { File::from_raw_file(file) };
        // SAFETY: By the safety requirements `table` is null or valid.
        let table = unsafe { PollTable::from_raw(table) };

        // This order is required: a change after the check must wake the thread.
        readable.waiters().register(file, &table);
        readable.readiness().events().bits()
    }

    /// # Safety
    ///
    /// `file` must have been created by [`SavingFileOps::open`] for `S`.
    unsafe extern "C" fn ioctl_callback(
        file: *mut kernel::bindings::file,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        if cmd != bindings::VFIO_RUST_IOCTL_PRECOPY_INFO {
            return ENOTTY.to_errno() as c_long;
        }
        // SAFETY: By the safety requirements `file` was created for a `Readable<S>`.
        let readable = unsafe { private::<Readable<S>>(file) };
        match Self::precopy_info(&readable, UserPtr::from_addr(arg)) {
            Ok(()) => 0,
            Err(e) => e.to_errno() as c_long,
        }
    }

    fn precopy_info(readable: &Readable<S>, arg: UserPtr) -> Result {
        const SIZE: usize = size_of::<bindings::vfio_precopy_info>();

        let (mut reader, mut writer) = UserSlice::new(arg, SIZE).reader_writer();
        let mut raw: bindings::vfio_precopy_info = reader.read()?;
        if (raw.argsz as usize) < SIZE {
            return Err(EINVAL);
        }

        let position = *readable.position.lock();
        raw.initial_bytes = readable.session.initial_bytes(position)?;
        // No session adds data during pre-copy.
        raw.dirty_bytes = 0;
        // `flags` is an output in the second version, and without new initial data it is 0. In the
        // first version it is reserved, and C drivers keep the user's value. The user may switch to
        // the second version during the session, which the session cannot notice, as it has no
        // reference to the device. So clear the flags in both versions.
        raw.flags = 0;
        writer.write(&raw)
    }
}

/// The operations of a file that data is written to.
pub(super) struct ResumingFileOps<S: ResumingSession>(PhantomData<S>);

impl<S: ResumingSession> ResumingFileOps<S> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<S::OwnerModule>().as_ptr(),
        write: Some(Self::write_callback),
        release: Some(release_callback::<Writable<S>>),
        ..pin_init::zeroed()
    };

    /// Creates the file of `session`, named `name`.
    pub(super) fn open(name: &CStr, session: Arc<Writable<S>>) -> Result<ARef<File>> {
        open(name, session, &Self::OPS, kernel::bindings::O_WRONLY)
    }

    /// # Safety
    ///
    /// `file` must have been created by [`ResumingFileOps::open`] for `S`.
    unsafe extern "C" fn write_callback(
        file: *mut kernel::bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: By the safety requirements `file` was created for a `Writable<S>`.
        let writable = unsafe { private::<Writable<S>>(file) };
        to_ssize(Self::copy_in(&writable, user_slice(buf, len)))
    }

    fn copy_in(writable: &Writable<S>, user: UserSlice) -> Result<usize> {
        let mut reader = user.reader();
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        let _writing = writable.writing.lock();

        // A zero-length write fails as well if the session accepts no more data.
        loop {
            let count = reader.len().min(CHUNK);
            let step = reader
                .read_slice(&mut chunk[..count])
                .and_then(|()| writable.append(&chunk[..count], reader.len()));
            match step {
                Ok(()) => done += count,
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
            // SAFETY: The function has no safety requirements.
            let killed = unsafe { bindings::vfio_rust_helper_fatal_signal_pending() };
            if reader.is_empty() || killed {
                return Ok(done);
            }
            // SAFETY: This is process context, and no spinlock is held.
            unsafe { bindings::vfio_rust_helper_cond_resched() };
        }
    }
}
