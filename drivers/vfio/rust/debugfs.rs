// SPDX-License-Identifier: GPL-2.0

//! Files of a variant driver below the folder that the VFIO core made for the device.
//!
//! Differences to [`kernel::debugfs`]: the parent is borrowed, a file's `show` can fail with an
//! errno, and readable files have the mode 0444 that VFIO's files have.
//!
//! C headers: `include/linux/debugfs.h`, `include/linux/seq_file.h`

use crate::{
    bindings,
    device::{
        Device,
        Operations, //
    },
};
use core::marker::PhantomData;
use kernel::{
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    sync::aref::ARef,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// Whether the VFIO core has debugfs at all; the helpers in C are there only then.
const CONFIGURED: bool = cfg!(CONFIG_VFIO_DEBUGFS);

/// Longest input of a writable file, in bytes.
pub const INPUT_MAX: usize = 64;

const MODE_READ: u16 = 0o444;
const MODE_READ_WRITE: u16 = 0o600;

/// A file of a device.
///
/// The callbacks may sleep. They run between [`Operations::registered`] and
/// [`Operations::unregistering`], whether the device is open or not.
#[vtable]
pub trait File: 'static {
    /// The driver whose devices have the file.
    type Ops: Operations;

    /// Name of the file.
    const NAME: &'static CStr;

    /// Prints the file.
    ///
    /// On an error the reader gets the errno and nothing of what was printed. [`EAGAIN`] comes
    /// out as [`EBUSY`]: seq_file takes it for its own signal and would call again for ever.
    fn show(dev: &Device<Self::Ops>, m: &SeqFile) -> Result;

    /// Takes input of at most [`INPUT_MAX`] bytes. A file that has this is root's alone.
    fn write(_dev: &Device<Self::Ops>, _input: &[u8]) -> Result {
        Err(EINVAL)
    }
}

/// A folder of files. Dropping it removes them and waits for callbacks that still run.
///
/// # Invariants
///
/// - `dir` is what `debugfs_create_dir()` returned, and is removed in `drop` and nowhere else.
/// - The private data of all files in it is `dev`, which outlives them.
pub struct Folder<T: Operations> {
    dir: *mut kernel::bindings::dentry,
    dev: ARef<Device<T>>,
}

// SAFETY: debugfs takes its own locks.
unsafe impl<T: Operations> Send for Folder<T> {}
// SAFETY: debugfs takes its own locks.
unsafe impl<T: Operations> Sync for Folder<T> {}

impl<T: Operations> Folder<T> {
    /// Makes a folder in the `migration` folder of `dev`.
    ///
    /// Returns `None` if there is no such folder: no debugfs, not configured, or a device that
    /// cannot migrate. To be called from [`Operations::registered`] and dropped in
    /// [`Operations::unregistering`], as the core removes its folders later.
    pub fn in_migration(dev: &ARef<Device<T>>, name: &CStr) -> Option<Self> {
        if !CONFIGURED {
            return None;
        }
        // SAFETY: the device is valid.
        let parent = unsafe { bindings::vfio_rust_helper_debugfs_migration(dev.core().vdev()) };
        if parent.is_null() {
            return None;
        }

        // SAFETY: `parent` is a folder with a reference of ours, which is given back.
        let dir = unsafe {
            let dir = bindings::vfio_rust_helper_debugfs_dir(name.as_char_ptr(), parent);
            bindings::vfio_rust_helper_dput(parent);
            dir
        };

        // INVARIANT: the folder was just made and is empty.
        Some(Self {
            dir,
            dev: dev.clone(),
        })
    }

    /// Adds a file. As everywhere in debugfs, nothing depends on whether that worked.
    pub fn add<F: File<Ops = T>>(&self) {
        if !CONFIGURED {
            return;
        }
        let mode = if F::HAS_WRITE {
            MODE_READ_WRITE
        } else {
            MODE_READ
        };
        let data: *const Device<T> = &*self.dev;

        // SAFETY: `dir` is a folder or an error, which is passed through. The operations expect
        // a `Device<T>` as private data, and by the type invariants it outlives the file.
        unsafe {
            bindings::vfio_rust_helper_debugfs_file(
                F::NAME.as_char_ptr(),
                mode,
                self.dir,
                data.cast_mut().cast(),
                &FileOps::<F>::OPS,
            )
        };
    }
}

impl<T: Operations> Drop for Folder<T> {
    fn drop(&mut self) {
        if !CONFIGURED {
            return;
        }
        // SAFETY: `dir` is a folder, which nobody else removes, or an error, which is ignored.
        unsafe { bindings::vfio_rust_helper_debugfs_remove(self.dir) };
    }
}

struct FileOps<F: File>(PhantomData<F>);

impl<F: File> FileOps<F> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<F::OwnerModule>().as_ptr(),
        open: Some(Self::open),
        read: Some(kernel::bindings::seq_read),
        write: if F::HAS_WRITE {
            Some(Self::write)
        } else {
            None
        },
        llseek: Some(kernel::bindings::seq_lseek),
        release: Some(kernel::bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `inode` must be that of a file made by [`Folder::add`], `file` one that is being opened.
    unsafe extern "C" fn open(
        inode: *mut kernel::bindings::inode,
        file: *mut kernel::bindings::file,
    ) -> c_int {
        // SAFETY: by the safety requirements; `show` gets the inode's private data.
        unsafe { kernel::bindings::single_open(file, Some(Self::show), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// `m` must be the `seq_file` of an open file, in use by this thread only.
    unsafe extern "C" fn show(m: *mut kernel::bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: debugfs keeps the file, and thereby the device, for the time of the call.
        let dev = unsafe { &*(*m).private.cast::<Device<F::Ops>>() };
        // SAFETY: by the safety requirements.
        match F::show(dev, unsafe { SeqFile::from_raw(m) }) {
            Ok(()) => 0,
            Err(e) if e == EAGAIN => EBUSY.to_errno(),
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file, and `buf` a pointer to `len` bytes of user memory.
    unsafe extern "C" fn write(
        file: *mut kernel::bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: `open` has put a `seq_file` there, whose private data is the device; debugfs
        // keeps the file, and thereby the device, for the time of the call.
        let dev = unsafe {
            let m = (*file).private_data.cast::<kernel::bindings::seq_file>();
            &*(*m).private.cast::<Device<F::Ops>>()
        };

        let mut input = [0; INPUT_MAX];
        let Some(input) = input.get_mut(..len) else {
            return EINVAL.to_errno() as isize;
        };
        let user = UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len);
        match user
            .reader()
            .read_slice(input)
            .and_then(|()| F::write(dev, input))
        {
            // CAST: `len` is at most `INPUT_MAX`.
            Ok(()) => len as isize,
            Err(e) => e.to_errno() as isize,
        }
    }
}

/// Prints `bytes` in hex, 16 to a line, each line with `prefix` and the offset.
///
/// C: `seq_hex_dump()` with `DUMP_PREFIX_OFFSET`
#[inline]
pub fn hex_dump(m: &SeqFile, prefix: &CStr, bytes: &[u8]) {
    // SAFETY: `SeqFile` is a transparent wrapper of a `struct seq_file`, which is this thread's
    // alone; `bytes` is valid for its length.
    unsafe {
        bindings::seq_hex_dump(
            core::ptr::from_ref(m).cast_mut().cast(),
            prefix.as_char_ptr(),
            bindings::DUMP_PREFIX_OFFSET as c_int,
            16,
            1,
            bytes.as_ptr().cast(),
            bytes.len(),
            false,
        );
    }
}
