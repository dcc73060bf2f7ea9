// SPDX-License-Identifier: GPL-2.0

//! The boundary to VFIO core and to debugfs: the functions that the core calls, the device behind a
//! file, and the way from a read to the file's code. All unsafe code of this object is here, in
//! `history/ffi.rs` and in `request/ffi.rs`.

use core::ptr;

use kernel::{
    bindings::{
        debugfs_create_devm_seqfile,
        debugfs_create_dir,
        debugfs_remove,
        dentry,
        dev_name,
        device,
        seq_file, //
    },
    container_of,
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use crate::{
    bindings::{
        self,
        vfio_device, //
    },
    features::FeaturesFile,
    file::{
        MigState,
        MigratableDevice,
        SeqFileOps, //
    },
    migration_features::Features,
    state::State, //
};

#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
use crate::history::{
    ffi::{
        create as create_history,
        history_of, //
    },
    History, //
};
#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
use crate::history_file::HistoryFile;

/// `vfio/` at the root of debugfs: null before it is created and after it is removed, an error
/// pointer if it could not be created.
///
/// The core sets it during its initialisation, clears it during its exit, and registers devices
/// only in between, so the accesses need no further ordering.
static ROOT: Atomic<*mut dentry> = Atomic::new(ptr::null_mut());

/// A VFIO device that can migrate, during a read of one of its debugfs files or during an ioctl.
///
/// # Invariants
///
/// The device is registered, or the end of its registration waits for the read or the ioctl. Its
/// `mig_ops` is not null.
#[repr(transparent)]
pub(crate) struct VfioDevice(Opaque<vfio_device>);

impl VfioDevice {
    /// # Safety
    ///
    /// For all of `'a`, `device` must point to a `struct vfio_device` that fulfils the type
    /// invariants.
    pub(crate) unsafe fn from_raw<'a>(device: *mut vfio_device) -> &'a Self {
        // INVARIANT: By the safety requirements `device` fulfils them.
        // SAFETY: By the safety requirements the pointer is valid for `'a`; `Self` is a transparent
        // wrapper, and `Opaque` allows C to modify the content at any time.
        unsafe { &*device.cast() }
    }
}

#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
impl VfioDevice {
    /// Has the driver set the state. Returns what the driver does: a data file, null, or an error
    /// pointer.
    pub(crate) fn set_state(&self, state: MigState) -> *mut kernel::bindings::file {
        // SAFETY: By the type invariants the device is valid and `mig_ops` is not null; drivers set
        // it before they register the device and never change it.
        let set_state = unsafe { (*(*self.0.get()).mig_ops).migration_set_state };

        match set_state {
            // SAFETY: The callback takes the device that it belongs to.
            Some(set_state) => unsafe { set_state(self.0.get(), state) },
            None => EINVAL.to_ptr(),
        }
    }
}

impl MigratableDevice for VfioDevice {
    fn state(&self) -> Result<MigState> {
        // SAFETY: By the type invariants the device is valid and `mig_ops` is not null; drivers set
        // it before they register the device and never change it.
        let get_state = unsafe { (*(*self.0.get()).mig_ops).migration_get_state }.ok_or(EINVAL)?;
        let mut state = MigState::VFIO_DEVICE_STATE_NR;

        // SAFETY: The callback takes the device that it belongs to, which is registered, and a
        // pointer that is valid for a write of the state.
        to_result(unsafe { get_state(self.0.get(), &mut state) })?;
        Ok(state)
    }

    fn migration_features(&self) -> Features {
        // SAFETY: By the type invariants the device is valid; drivers set the flags before they
        // register the device and never change them.
        Features::from_bits_retain(unsafe { (*self.0.get()).migration_flags })
    }

    fn logs_dirty_pages(&self) -> bool {
        // SAFETY: By the type invariants the device is valid; drivers set `log_ops` before they
        // register the device and never change it.
        !unsafe { (*self.0.get()).log_ops }.is_null()
    }

    #[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
    fn history(&self) -> Option<&History> {
        // SAFETY: By the type invariants the device is valid, and `vfio_history_free` is called only
        // after the registration has ended.
        unsafe { history_of(self.0.get()) }.map(Pin::get_ref)
    }
}

/// The `read_fn` of [`debugfs_create_devm_seqfile`] for the file `T`.
///
/// # Safety
///
/// Must only be called by seq_file, for a file created by [`create_file`].
unsafe extern "C" fn show_callback<T: SeqFileOps>(seq: *mut seq_file, _: *mut c_void) -> c_int {
    // SAFETY: The seq_file code calls this with a valid `seq` and holds its lock during the call.
    let private = unsafe { (*seq).private };
    // SAFETY: `private` is the device that `create_file` passed, which is the member `device` of a
    // `struct vfio_device`.
    let device = unsafe { container_of!(private.cast::<device>(), vfio_device, device) };
    // SAFETY: `create_file` is called only for registered devices with `mig_ops`. The file is
    // removed while the device is being unregistered, which waits for this function to return.
    let device = unsafe { VfioDevice::from_raw(device) };
    // SAFETY: `seq` is valid, and its lock excludes other threads.
    let seq = unsafe { SeqFile::from_raw(seq) };

    from_result(|| T::show(device, seq).map(|()| 0))
}

/// Creates the file `T` in `dir`.
///
/// # Safety
///
/// `device` must be registered and have `mig_ops`, and stay so until the files in `dir` are
/// removed. `dir` must be a directory in debugfs or an error pointer.
unsafe fn create_file<T: SeqFileOps>(device: *mut vfio_device, dir: *mut dentry) {
    // SAFETY: By the safety requirements `device` is valid and outlives the file, and debugfs
    // accepts `dir`; debugfs copies the name.
    unsafe {
        debugfs_create_devm_seqfile(
            &raw mut (*device).device,
            T::NAME.as_char_ptr(),
            dir,
            Some(show_callback::<T>),
        );
    }
}

/// Creates `vfio/`. Called as the last step of the core's initialisation.
#[no_mangle]
extern "C" fn vfio_debugfs_create_root() {
    // SAFETY: The name is a C string, which debugfs copies; null stands for the root of debugfs.
    let root = unsafe { debugfs_create_dir(c"vfio".as_char_ptr(), ptr::null_mut()) };

    ROOT.store(root, Relaxed);
}

/// Removes `vfio/`. Called as the first step of the core's exit.
#[no_mangle]
extern "C" fn vfio_debugfs_remove_root() {
    let root = ROOT.load(Relaxed);

    ROOT.store(ptr::null_mut(), Relaxed);
    // SAFETY: `root` comes from `debugfs_create_dir` and was not removed before. Null and error
    // pointers are ignored.
    unsafe { debugfs_remove(root) };
}

/// Creates the directory of a device, and its `migration/` directory if the device can migrate.
///
/// # Safety
///
/// `vdev` must be registered, and [`vfio_device_debugfs_exit`] must be called before that ends.
#[no_mangle]
unsafe extern "C" fn vfio_device_debugfs_init(vdev: *mut vfio_device) {
    // SAFETY: `vdev` is registered, so its parent has a name, which debugfs copies. The root is a
    // directory or an error pointer, because devices are registered only during the lifetime of the
    // root.
    let root = unsafe { debugfs_create_dir(dev_name((*vdev).dev), ROOT.load(Relaxed)) };

    // SAFETY: `vdev` is valid and only the core writes this member, here and in
    // `vfio_device_debugfs_exit`.
    unsafe { (*vdev).debug_root = root };

    // SAFETY: `vdev` is valid, and drivers do not change `mig_ops` once they registered the device.
    if unsafe { (*vdev).mig_ops }.is_null() {
        return;
    }

    // SAFETY: The name is a C string, which debugfs copies. `root` was returned by debugfs: it is a
    // directory or an error pointer.
    let migration = unsafe { debugfs_create_dir(c"migration".as_char_ptr(), root) };

    // SAFETY: `vdev` is registered and has `mig_ops`. The files are removed with `root`, before
    // `vdev` stops being registered. `migration` was returned by `debugfs_create_dir`.
    unsafe {
        create_file::<State>(vdev, migration);
        create_file::<FeaturesFile>(vdev, migration);
    }

    // SAFETY: As above. This function is called once for a device.
    #[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
    unsafe {
        if create_history(vdev) {
            create_file::<HistoryFile>(vdev, migration);
        }
    }
}

/// Removes the directory of a device with its whole content, including files of drivers.
///
/// # Safety
///
/// [`vfio_device_debugfs_init`] must have been called for `vdev`.
#[no_mangle]
unsafe extern "C" fn vfio_device_debugfs_exit(vdev: *mut vfio_device) {
    // SAFETY: `vdev` is valid. `debug_root` is a directory that was not removed before, or null or
    // an error pointer, which are ignored. This waits for readers of the files in it.
    unsafe { debugfs_remove((*vdev).debug_root) };

    // SAFETY: `vdev` is valid and only the core writes this member.
    unsafe { (*vdev).debug_root = ptr::null_mut() };
}

// Checks that the functions above have the types that the core's header declares.
const _: [unsafe extern "C" fn(); 4] = [
    bindings::vfio_debugfs_create_root,
    bindings::vfio_debugfs_remove_root,
    vfio_debugfs_create_root,
    vfio_debugfs_remove_root,
];
const _: [unsafe extern "C" fn(*mut vfio_device); 4] = [
    bindings::vfio_device_debugfs_init,
    bindings::vfio_device_debugfs_exit,
    vfio_device_debugfs_init,
    vfio_device_debugfs_exit,
];
