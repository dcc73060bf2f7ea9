// SPDX-License-Identifier: GPL-2.0

//! The file through which migration data leave or enter a device.
//!
//! The file holds a session and never the device: it can outlive the device's last user and the
//! driver's binding. User memory is touched while at most the reader's own lock is held, which
//! nothing but reads of the same session ever waits for; a page fault on the device's own memory
//! may therefore wait for a reset, and a reset for the session.
//!
//! C headers: `include/linux/anon_inodes.h`, `include/uapi/linux/vfio.h`

use crate::bindings;
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    error::from_err_ptr,
    fs::File,
    module::this_module,
    prelude::*,
    static_lock_class,
    sync::{
        aref::ARef,
        poll::{
            PollCondVarBox,
            PollTable, //
        },
        Arc,
        ArcBorrow,
        Mutex,
        SetOnce, //
    },
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
    ModuleMetadata, //
};

/// Bytes that pass from the user to a session in one step.
const CHUNK: usize = 256;

/// Size of `struct vfio_precopy_info` up to and including `dirty_bytes`.
const PRECOPY_INFO_SIZE: usize = 24;

/// What `VFIO_MIG_GET_PRECOPY_INFO` reports, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrecopyInfo {
    /// What is left of the data that was there when pre-copy began.
    pub initial: u64,
    /// What has changed since.
    pub dirty: u64,
}

/// What a read of a session would find, for `poll()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// Nothing now, but there may be data later.
    Nothing,
    /// Data, or the end of the stream.
    Readable,
    /// That the session is over.
    Over,
}

impl Readiness {
    /// That of a session whose reader has `ahead` of it.
    fn of(ahead: Result<&[u8]>) -> Self {
        match ahead {
            Ok(_) => Self::Readable,
            Err(e) if e == ENOMSG => Self::Nothing,
            Err(_) => Self::Over,
        }
    }

    /// The events that `poll()` tells.
    fn events(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Readable => bindings::VFIO_RUST_POLL_READABLE,
            Self::Over => bindings::VFIO_RUST_POLL_READABLE | bindings::VFIO_RUST_POLL_OVER,
        }
    }
}

/// Who waits by `poll()` for the data of a session.
///
/// Few users ever do, so that what is needed for it is made for the first one.
pub struct Waiters(SetOnce<PollCondVarBox>);

impl Waiters {
    /// Nobody yet.
    pub const fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Lets all who wait look again; to be called after what [`Source::ahead`] says has changed.
    pub fn wake(&self) {
        if let Some(queue) = self.0.as_ref() {
            queue.notify_all();
        }
    }

    fn register(&self, file: &File, table: &PollTable<'_>) -> Result {
        if self.0.as_ref().is_none() {
            let queue = PollCondVarBox::new(c"vfio::data_file::Waiters", static_lock_class!())?;
            // Another one may have been faster; then this one is not needed.
            self.0.populate(queue);
        }
        let queue = self.0.as_ref().ok_or(ENOMEM)?;
        table.register_wait(file, queue);
        Ok(())
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

/// A session that migration data are read from. What it has given out once it never changes.
///
/// No method waits for anything that can wait for user memory.
pub trait Source: Send + Sync + 'static {
    /// The data from `position` on, or a first part of them; nothing at their end.
    ///
    /// # Errors
    ///
    /// [`ENOMSG`] if more may come, nothing being there now; [`ENODEV`] after the end of the
    /// session.
    fn ahead(&self, position: usize) -> Result<&[u8]>;

    /// Who is to be woken when [`Source::ahead`] says something else.
    fn waiters(&self) -> &Waiters;

    /// What is left in pre-copy for a reader at `position`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device is not in pre-copy with this session.
    fn precopy_info(&self, position: usize) -> Result<PrecopyInfo>;
}

/// A session that migration data are written to.
pub trait Sink: Send + Sync + 'static {
    /// Appends `chunk`; `rest` bytes of the same `write()` are to follow. Chunks of two `write()`
    /// calls at the same time can alternate.
    ///
    /// An error after the first chunk makes the `write()` a short one.
    fn append(&self, chunk: &[u8], rest: usize) -> Result;
}

/// A session together with where in its data its reader is.
#[pin_data]
pub struct Readable<S> {
    session: S,
    /// User memory is touched with this lock held.
    #[pin]
    position: Mutex<usize>,
}

impl<S> Readable<S> {
    /// A reader at the start of `session`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(session: impl Init<S>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                session <- session,
                position <- new_generic_mutex!(0, c"vfio::Readable::position"),
            }),
            GFP_KERNEL,
        )
    }
}

impl<S: Source> Readable<S> {
    /// What a read would find now.
    fn readiness(&self) -> Readiness {
        Readiness::of(self.session.ahead(*self.position.lock()))
    }
}

impl<S> Deref for Readable<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

/// Makes the file of a session that is read from. `M` is the module `S` is in.
///
/// # Errors
///
/// Those of `anon_inode_getfile()`.
pub fn source<S: Source, M: ModuleMetadata>(
    name: &CStr,
    session: Arc<Readable<S>>,
) -> Result<ARef<File>> {
    open(
        name,
        session,
        &SourceOps::<S, M>::OPS,
        kernel::bindings::O_RDONLY,
    )
}

/// Makes the file of a session that is written to. `M` is the module `S` is in.
///
/// # Errors
///
/// Those of `anon_inode_getfile()`.
pub fn sink<S: Sink, M: ModuleMetadata>(name: &CStr, session: Arc<S>) -> Result<ARef<File>> {
    open(
        name,
        session,
        &SinkOps::<S, M>::OPS,
        kernel::bindings::O_WRONLY,
    )
}

fn open<T: Send + Sync + 'static>(
    name: &CStr,
    private: Arc<T>,
    ops: &'static kernel::bindings::file_operations,
    flags: u32,
) -> Result<ARef<File>> {
    let private = private.into_foreign();

    // SAFETY: `ops` expect what `private` is, and own it from here on if the call succeeds.
    let file = from_err_ptr(unsafe {
        // CAST: the flags are small.
        bindings::anon_inode_getfile(name.as_char_ptr(), ops, private, flags as c_int)
    });
    let file = match file {
        Ok(file) => file,
        Err(e) => {
            // SAFETY: `private` comes from `into_foreign()` above, and no file has it.
            drop(unsafe { Arc::<T>::from_foreign(private) });
            return Err(e);
        }
    };

    // SAFETY: the file is new and nobody else's; making it a stream always succeeds.
    unsafe { bindings::stream_open((*file).f_inode, file) };

    let file = core::ptr::NonNull::new(file).ok_or(ENOMEM)?;
    // SAFETY: the file comes with one reference, which passes to the `ARef`. It is in no file
    // table yet, so nobody uses its position.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}

/// # Safety
///
/// `file` must have been made by [`open`] for a `T`, and live for `'a`.
unsafe fn private<'a, T: 'static>(file: *mut kernel::bindings::file) -> ArcBorrow<'a, T> {
    // SAFETY: by the safety requirements; only `release` takes the reference back.
    unsafe { Arc::<T>::borrow((*file).private_data) }
}

/// # Safety
///
/// `file` must have been made by [`open`] for a `T`, and be in release.
unsafe extern "C" fn release<T: 'static>(
    _inode: *mut kernel::bindings::inode,
    file: *mut kernel::bindings::file,
) -> c_int {
    // SAFETY: by the safety requirements nobody borrows the reference any more.
    drop(unsafe { Arc::<T>::from_foreign((*file).private_data) });
    0
}

fn user_slice(buf: *const c_char, len: usize) -> UserSlice {
    UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len)
}

fn to_ssize(result: Result<usize>) -> isize {
    match result {
        // CAST: a count is at most what the user asked for, which fits.
        Ok(count) => count as isize,
        Err(e) => e.to_errno() as isize,
    }
}

struct SourceOps<S: Source, M: ModuleMetadata>(PhantomData<(S, M)>);

impl<S: Source, M: ModuleMetadata> SourceOps<S, M> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<M>().as_ptr(),
        read: Some(Self::read),
        poll: Some(Self::poll),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: kernel::bindings::compat_ptr_ioctl,
        release: Some(release::<Readable<S>>),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` must have been made by [`source`] for `S`.
    unsafe extern "C" fn read(
        file: *mut kernel::bindings::file,
        buf: *mut c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: by the safety requirements.
        let readable = unsafe { private::<Readable<S>>(file) };
        to_ssize(Self::copy_out(&readable, user_slice(buf, len)))
    }

    fn copy_out(readable: &Readable<S>, user: UserSlice) -> Result<usize> {
        let mut writer = user.writer();
        let mut position = readable.position.lock();
        let mut done = 0;

        loop {
            let step = readable.ahead(*position).and_then(|bytes| {
                let count = bytes.len().min(writer.len());
                writer.write_slice(&bytes[..count])?;
                Ok(count)
            });
            match step {
                Ok(count) => {
                    *position += count;
                    done += count;
                    if count == 0 || writer.is_empty() {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                // Who asks for nothing misses nothing.
                Err(e) if e == ENOMSG && writer.is_empty() => return Ok(0),
                Err(e) => return Err(e),
            }
        }
    }

    /// # Safety
    ///
    /// `file` must have been made by [`source`] for `S`; `table` must be null or valid.
    unsafe extern "C" fn poll(
        file: *mut kernel::bindings::file,
        table: *mut kernel::bindings::poll_table_struct,
    ) -> kernel::bindings::__poll_t {
        // SAFETY: by the safety requirements.
        let readable = unsafe { private::<Readable<S>>(file) };
        // SAFETY: the file lives as long as this call. It is a stream, whose position nobody
        // uses, and the reference does not leave this thread.
        let file = unsafe { File::from_raw_file(file) };
        // SAFETY: by the safety requirements.
        let table = unsafe { PollTable::from_raw(table) };

        // First, so that a change after the look is not missed.
        match readable.waiters().register(file, &table) {
            Ok(()) => readable.readiness().events(),
            Err(_) => bindings::VFIO_RUST_POLL_ERROR,
        }
    }

    /// # Safety
    ///
    /// `file` must have been made by [`source`] for `S`.
    unsafe extern "C" fn ioctl(
        file: *mut kernel::bindings::file,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        if cmd != bindings::VFIO_RUST_IOCTL_PRECOPY_INFO {
            return ENOTTY.to_errno() as c_long;
        }
        // SAFETY: by the safety requirements.
        let readable = unsafe { private::<Readable<S>>(file) };
        match Self::precopy_info(&readable, UserPtr::from_addr(arg)) {
            Ok(()) => 0,
            Err(e) => e.to_errno() as c_long,
        }
    }

    fn precopy_info(readable: &Readable<S>, arg: UserPtr) -> Result {
        let (mut reader, mut writer) = UserSlice::new(arg, PRECOPY_INFO_SIZE).reader_writer();
        let mut raw = [0; PRECOPY_INFO_SIZE];
        reader.read_slice(&mut raw)?;

        let (argsz, rest) = raw.split_at_mut(4);
        let (flags, rest) = rest.split_at_mut(4);
        let (initial, dirty) = rest.split_at_mut(8);
        if (u32::from_ne_bytes([argsz[0], argsz[1], argsz[2], argsz[3]]) as usize)
            < PRECOPY_INFO_SIZE
        {
            return Err(EINVAL);
        }

        let position = *readable.position.lock();
        let info = readable.session.precopy_info(position)?;
        // Output in the second version, and reserved in the first: the user may ask for the second
        // one at any time, and what a session could say of it would be stale.
        flags.fill(0);
        initial.copy_from_slice(&info.initial.to_ne_bytes());
        dirty.copy_from_slice(&info.dirty.to_ne_bytes());
        writer.write_slice(&raw)
    }
}

struct SinkOps<S: Sink, M: ModuleMetadata>(PhantomData<(S, M)>);

impl<S: Sink, M: ModuleMetadata> SinkOps<S, M> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<M>().as_ptr(),
        write: Some(Self::write),
        release: Some(release::<S>),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` must have been made by [`sink`] for `S`.
    unsafe extern "C" fn write(
        file: *mut kernel::bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: by the safety requirements.
        let session = unsafe { private::<S>(file) };
        to_ssize(Self::copy_in(&session, user_slice(buf, len)))
    }

    fn copy_in(session: &S, user: UserSlice) -> Result<usize> {
        let mut reader = user.reader();
        let mut chunk = [0; CHUNK];
        let mut done = 0;

        // A write of nothing fails as well if the session takes nothing any more.
        loop {
            let count = reader.len().min(CHUNK);
            let step = reader
                .read_slice(&mut chunk[..count])
                .and_then(|()| session.append(&chunk[..count], reader.len()));
            match step {
                Ok(()) => done += count,
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
            if reader.is_empty() {
                return Ok(done);
            }
        }
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_data_file)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_what_a_read_would_find() {
        assert_eq!(Readiness::of(Ok(&[1])), Readiness::Readable);
        assert_eq!(Readiness::of(Ok(&[])), Readiness::Readable);
        assert_eq!(Readiness::of(Err(ENOMSG)), Readiness::Nothing);
        assert_eq!(Readiness::of(Err(ENODEV)), Readiness::Over);
    }
}
