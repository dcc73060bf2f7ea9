// SPDX-License-Identifier: GPL-2.0

//! Files of a variant driver in the directory that the VFIO core creates for the device.
//!
//! A driver lists its files in [`Operations::DEBUGFS`]. The crate creates them after the device was
//! registered, and removes them before it is unregistered: the core removes its own directory while
//! the device can still be in use, and a driver that kept a file would remove it a second time.
//!
//! Differences from [`kernel::debugfs`]: the parent directory belongs to the core, the `show`
//! callback of a file can fail with an errno, and readable files have the mode 0444, like the files
//! of the core.
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

mod directory;

pub use self::directory::{
    Directory,
    Entry, //
};

use crate::{
    bindings,
    device::{
        Device,
        Operations, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    device::Bound,
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// Whether the VFIO core supports debugfs. The C helpers exist only if it does.
const CONFIGURED: bool = cfg!(CONFIG_VFIO_DEBUGFS);

/// Maximum input of a writable file, in bytes. The documentation of [`File::write`] has the number.
const INPUT_MAX: usize = 64;

const MODE_READ: u16 = 0o444;
const MODE_READ_WRITE: u16 = 0o600;

/// A file of a device.
///
/// The callbacks may sleep. They run between [`Operations::registered`] and
/// [`Operations::unregistering`], whether the device is open or not.
#[vtable]
pub trait File: 'static {
    /// The driver that the file belongs to.
    type Ops: Operations;

    /// Name of the file.
    const NAME: &'static CStr;

    /// Prints the content of the file.
    ///
    /// On failure the reader gets the errno and no content. [`EAGAIN`] is converted to [`EBUSY`],
    /// because seq_file would interpret it as a request to call `show` again, endlessly.
    fn show(dev: &Device<Self::Ops, Bound>, m: &SeqFile) -> Result;

    /// Handles input of at most 64 bytes. A file that implements this can be accessed by
    /// root only.
    fn write(_dev: &Device<Self::Ops, Bound>, _input: &[u8]) -> Result {
        Err(EINVAL)
    }
}

impl<T: Operations> Entry<T> {
    /// Creates the entry of the file `F`.
    pub const fn file<F: File<Ops = T>>() -> Self {
        Self {
            name: F::NAME,
            mode: if F::HAS_WRITE {
                MODE_READ_WRITE
            } else {
                MODE_READ
            },
            ops: &FileOps::<F>::OPS,
            _driver: PhantomData,
        }
    }
}

impl<T: Operations> Directory<T> {
    /// Creates the directory of `dev` and its files, unless there is no `migration` directory,
    /// because debugfs is disabled or the device cannot migrate. As usual with debugfs, errors are
    /// ignored.
    ///
    /// # Safety
    ///
    /// `dev` must be registered, and its unregistration must not begin before this returns.
    /// [`Directory::remove`] must be called before it does, and before the last reference to `dev`
    /// is dropped.
    pub(crate) unsafe fn create(&self, dev: &Device<T>) {
        if !CONFIGURED {
            return;
        }
        // SAFETY: By the safety requirements the device is registered, and the core does not remove
        // its directory in the meantime.
        let parent = unsafe { bindings::vfio_rust_helper_debugfs_migration(dev.core().vdev()) };
        if parent.is_null() {
            return;
        }

        // SAFETY: `parent` is a directory, and the reference to it is dropped after its use. The
        // result of `debugfs_create_dir()`, even an error, may be passed on as a parent. The
        // operations expect a `Device<T>` as private data; by the safety requirements the files are
        // removed while `dev` exists, which waits for operations that still run.
        unsafe {
            let dir = bindings::vfio_rust_helper_debugfs_dir(self.name.as_char_ptr(), parent);
            bindings::vfio_rust_helper_dput(parent);
            for entry in self.entries {
                bindings::vfio_rust_helper_debugfs_file(
                    entry.name.as_char_ptr(),
                    entry.mode,
                    dir,
                    core::ptr::from_ref(dev).cast_mut().cast(),
                    entry.ops,
                );
            }
        }
    }

    /// Removes the directory and the files that [`Directory::create`] created, and waits for
    /// callbacks that still run.
    ///
    /// # Safety
    ///
    /// `dev` must be registered, and its unregistration must not begin before this returns.
    pub(crate) unsafe fn remove(&self, dev: &Device<T>) {
        if !CONFIGURED {
            return;
        }
        // SAFETY: As in `create`; the reference to the core's directory is dropped.
        unsafe {
            let parent = bindings::vfio_rust_helper_debugfs_migration(dev.core().vdev());
            if !parent.is_null() {
                bindings::vfio_rust_helper_debugfs_lookup_and_remove(
                    self.name.as_char_ptr(),
                    parent,
                );
                bindings::vfio_rust_helper_dput(parent);
            }
        }
    }
}

struct FileOps<F: File>(PhantomData<F>);

impl<F: File> FileOps<F> {
    const OPS: kernel::bindings::file_operations = kernel::bindings::file_operations {
        owner: this_module::<F::OwnerModule>().as_ptr(),
        open: Some(Self::open_callback),
        read: Some(kernel::bindings::seq_read),
        write: if F::HAS_WRITE {
            Some(Self::write_callback)
        } else {
            None
        },
        llseek: Some(kernel::bindings::seq_lseek),
        release: Some(kernel::bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `inode` must belong to a file created by [`Directory::create`], and `file` must be in open.
    unsafe extern "C" fn open_callback(
        inode: *mut kernel::bindings::inode,
        file: *mut kernel::bindings::file,
    ) -> c_int {
        // SAFETY: By the safety requirements both pointers are valid; `show_callback` gets the
        // inode's private data.
        unsafe {
            kernel::bindings::single_open(file, Some(Self::show_callback), (*inode).i_private)
        }
    }

    /// # Safety
    ///
    /// `m` must be the `seq_file` of an open file, and used by this thread only.
    unsafe extern "C" fn show_callback(
        m: *mut kernel::bindings::seq_file,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: Debugfs keeps the file during the call, and the file is removed before the device
        // is unregistered. So the device exists, and its function is bound.
        let dev = unsafe { Device::<F::Ops, Bound>::from_raw((*m).private.cast()) };
        // SAFETY: By the safety requirements `m` is valid and used by this thread only.
        match F::show(dev, unsafe { SeqFile::from_raw(m) }) {
            Ok(()) => 0,
            Err(e) if e == EAGAIN => EBUSY.to_errno(),
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file, and `buf` a pointer to `len` bytes of user memory.
    unsafe extern "C" fn write_callback(
        file: *mut kernel::bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: `open_callback` has stored a `seq_file` there, whose private data is the device.
        // For the device, see `show_callback`.
        let dev = unsafe {
            let m = (*file).private_data.cast::<kernel::bindings::seq_file>();
            Device::<F::Ops, Bound>::from_raw((*m).private.cast())
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

/// Prints `bytes` in hex, 16 per line. Each line begins with `prefix` and the offset.
///
/// C: `seq_hex_dump()` with `DUMP_PREFIX_OFFSET`
#[inline]
pub fn hex_dump(m: &SeqFile, prefix: &CStr, bytes: &[u8]) {
    // SAFETY: `SeqFile` is a transparent wrapper of a `struct seq_file`, which only this thread
    // uses; `bytes` is valid for its length.
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
