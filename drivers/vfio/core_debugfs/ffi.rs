// SPDX-License-Identifier: GPL-2.0

//! The functions that the VFIO core calls.

use core::ptr;

use kernel::{
    bindings::{
        debugfs_create_dir,
        debugfs_remove,
        dentry,
        dev_name, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    bindings::{
        self,
        vfio_device, //
    },
    features::FeaturesFile,
    file::create_file,
    state::State, //
};

/// `vfio/` at the root of debugfs: null before it is created and after it is removed, an error
/// pointer if it could not be created.
///
/// The core sets it during its initialisation, clears it during its exit, and registers devices
/// only in between, so the accesses need no further ordering.
static ROOT: Atomic<*mut dentry> = Atomic::new(ptr::null_mut());

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
