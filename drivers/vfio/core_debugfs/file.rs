// SPDX-License-Identifier: GPL-2.0

//! Text files in a device's `migration/` directory, and the device that they show.

use kernel::{
    bindings::{
        debugfs_create_devm_seqfile,
        dentry,
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
    types::Opaque, //
};

use crate::{
    bindings::vfio_device,
    migration_features::Features, //
};

pub(crate) use crate::bindings::vfio_device_mig_state as MigState;

/// A VFIO device that can migrate, during a read of one of its debugfs files.
///
/// # Invariants
///
/// The device is registered, its `mig_ops` is not null, and the core has not begun to remove its
/// debugfs files.
#[repr(transparent)]
pub(crate) struct VfioDevice(Opaque<vfio_device>);

impl VfioDevice {
    /// # Safety
    ///
    /// For all of `'a`, `device` must point to a `struct vfio_device` that fulfils the type
    /// invariants.
    unsafe fn from_raw<'a>(device: *mut vfio_device) -> &'a Self {
        // INVARIANT: By the safety requirements `device` fulfils them. SAFETY: By the safety
        // requirements the pointer is valid for `'a`; `Self` is a transparent wrapper, and `Opaque`
        // allows C to modify the content at any time.
        unsafe { &*device.cast() }
    }

    /// Returns the migration state, as reported by the driver.
    ///
    /// Sleeps while the driver is busy with a transition. The driver may return a value that the
    /// uAPI does not define.
    pub(crate) fn state(&self) -> Result<MigState> {
        // SAFETY: By the type invariants the device is valid and `mig_ops` is not null; drivers set
        // it before they register the device and never change it.
        let get_state = unsafe { (*(*self.0.get()).mig_ops).migration_get_state }.ok_or(EINVAL)?;
        let mut state = MigState::VFIO_DEVICE_STATE_NR;

        // SAFETY: The callback takes the device that it belongs to, which is registered, and a
        // pointer that is valid for a write of the state.
        to_result(unsafe { get_state(self.0.get(), &mut state) })?;
        Ok(state)
    }

    /// Returns the features of the device. Bits that the uAPI does not define are kept.
    pub(crate) fn migration_features(&self) -> Features {
        // SAFETY: By the type invariants the device is valid; drivers set the flags before they
        // register the device and never change them.
        Features::from_bits_retain(unsafe { (*self.0.get()).migration_flags })
    }

    /// Returns whether the device logs which pages it writes.
    pub(crate) fn logs_dirty_pages(&self) -> bool {
        // SAFETY: By the type invariants the device is valid; drivers set `log_ops` before they
        // register the device and never change it.
        !unsafe { (*self.0.get()).log_ops }.is_null()
    }
}

/// A text file in a device's `migration/` directory.
pub(crate) trait SeqFileOps {
    /// The name of the file.
    const NAME: &'static CStr;

    /// Prints the content of the file to `seq`. `read(2)` fails with the returned error.
    fn show(device: &VfioDevice, seq: &SeqFile) -> Result;
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
pub(crate) unsafe fn create_file<T: SeqFileOps>(device: *mut vfio_device, dir: *mut dentry) {
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
