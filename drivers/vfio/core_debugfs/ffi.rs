// SPDX-License-Identifier: GPL-2.0-only

//! The functions that VFIO core calls.

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

/// `vfio/` at the root of debugfs: null before it is made and after it is removed, an error
/// pointer if it could not be made.
///
/// The core stores it while it initialises and clears it while it exits, and registers devices only
/// in between, so the accesses are ordered without any help from here.
static ROOT: Atomic<*mut dentry> = Atomic::new(ptr::null_mut());

/// Makes `vfio/`; the last step of the core's initialisation.
#[no_mangle]
extern "C" fn vfio_debugfs_create_root() {
    // SAFETY: The name is a C string, which debugfs copies; null stands for the root of debugfs.
    let root = unsafe { debugfs_create_dir(c"vfio".as_char_ptr(), ptr::null_mut()) };

    ROOT.store(root, Relaxed);
}

/// Removes `vfio/`; the first step of the core's exit.
#[no_mangle]
extern "C" fn vfio_debugfs_remove_root() {
    let root = ROOT.load(Relaxed);

    ROOT.store(ptr::null_mut(), Relaxed);
    // SAFETY: `root` comes from `debugfs_create_dir` and was not removed before. Null and error
    // pointers are ignored.
    unsafe { debugfs_remove(root) };
}

/// Makes the directory of a device, and its `migration/` if it can migrate.
///
/// # Safety
///
/// `vdev` must be registered, and [`vfio_device_debugfs_exit`] must be called before that ends.
#[no_mangle]
unsafe extern "C" fn vfio_device_debugfs_init(vdev: *mut vfio_device) {
    // SAFETY: `vdev` is registered, so that its parent has a name, which debugfs copies. The root
    // is a directory or an error pointer, for devices are registered in the lifetime of the root.
    let root = unsafe { debugfs_create_dir(dev_name((*vdev).dev), ROOT.load(Relaxed)) };

    // SAFETY: `vdev` is valid and only the core writes this member, here and in
    // `vfio_device_debugfs_exit`.
    unsafe { (*vdev).debug_root = root };

    // SAFETY: `vdev` is valid, and drivers do not change `mig_ops` once they registered the device.
    if unsafe { (*vdev).mig_ops }.is_null() {
        return;
    }

    // SAFETY: The name is a C string, which debugfs copies. `root` is what debugfs made of it: a
    // directory or an error pointer.
    let migration = unsafe { debugfs_create_dir(c"migration".as_char_ptr(), root) };

    // SAFETY: `vdev` is registered and has `mig_ops`; the files go with `root`, which is removed
    // before `vdev` stops being registered. `migration` comes from `debugfs_create_dir`.
    unsafe {
        create_file::<State>(vdev, migration);
        create_file::<FeaturesFile>(vdev, migration);
    }
}

/// Removes the directory of a device with all that is in it, also what drivers have put there.
///
/// # Safety
///
/// `vdev` must be a device that [`vfio_device_debugfs_init`] was called for.
#[no_mangle]
unsafe extern "C" fn vfio_device_debugfs_exit(vdev: *mut vfio_device) {
    // SAFETY: `vdev` is valid. `debug_root` is a directory that was not removed before, or null or
    // an error pointer, which are ignored. This waits for whoever reads a file below it.
    unsafe { debugfs_remove((*vdev).debug_root) };

    // SAFETY: `vdev` is valid and only the core writes this member.
    unsafe { (*vdev).debug_root = ptr::null_mut() };
}

// The functions above have the types that the core's header declares.
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
