// SPDX-License-Identifier: GPL-2.0

//! The functions that VFIO core calls for a request for a state.
//!
//! C header: [`history.h`](srctree/drivers/vfio/core_debugfs/history.h)

use kernel::{
    bindings::file,
    error::from_err_ptr,
    ffi::c_int,
    prelude::*, //
};

use crate::{
    bindings::{
        self,
        vfio_device,
        vfio_device_mig_state as MigState, //
    },
    ffi::VfioDevice,
    file::MigratableDevice,
    history::{
        ffi::history_of,
        Requester, //
    },
    timestamp::{
        micros,
        Timestamp, //
    }, //
};

/// Stands for a state that is not known in the trace event.
const UNKNOWN: MigState = MigState(u32::MAX);

/// Returns the calling thread.
fn requester() -> Requester {
    let task = current!();

    // SAFETY: The task is the current one, so it is valid. Another thread may write the name
    // meanwhile. A volatile access reads each byte, each of which is valid, as `get_task_comm()`
    // does without a lock.
    let comm = unsafe { (&raw const (*task.as_ptr()).comm).read_volatile() };

    Requester {
        pid: task.tgid(),
        comm,
    }
}

/// Emits the trace event `vfio:migration_arc`.
///
/// # Safety
///
/// `vdev` must point to a registered `struct vfio_device`.
unsafe fn trace(
    vdev: *mut vfio_device,
    from: Option<MigState>,
    to: MigState,
    duration: u32,
    errno: u16,
) {
    let from = from.unwrap_or(UNKNOWN);

    if cfg!(CONFIG_TRACING) {
        // SAFETY: By the safety requirements the device is valid, and so is its parent.
        unsafe {
            bindings::vfio_history_trace((*vdev).dev, from, to, duration, -c_int::from(errno))
        };
    }
}

/// Has the driver set a state, and records it. See the C header.
///
/// # Safety
///
/// `vdev` must be open and have `mig_ops`. `request` must be valid for a write.
#[no_mangle]
unsafe extern "C" fn vfio_history_set_state(
    vdev: *mut vfio_device,
    state: MigState,
    request: *mut u64,
) -> *mut file {
    let begin = Timestamp::now();
    // SAFETY: The device is open, so it is registered or its unregistration waits for this function.
    let device = unsafe { VfioDevice::from_raw(vdev) };
    // The driver may take its lock for the state, which no caller of this function holds: the driver
    // takes it for this very request, and for the ioctl that returns the state.
    let from = device.state().ok();
    let history = device.history();
    let number = history.map_or(0, |history| history.begin(from, state, begin, requester()));

    let file = device.set_state(state);
    // CAST: An errno is less than 4096.
    let errno = from_err_ptr(file).map_or_else(|error| -error.to_errno() as u16, |_| 0);
    let elapsed = || micros(begin.elapsed());
    let duration = match history {
        Some(history) => history.end(number, errno, elapsed),
        None => elapsed(),
    };
    // SAFETY: The device is open, so it is valid until this function returns.
    unsafe { trace(vdev, from, state, duration, errno) };

    // SAFETY: By the safety requirements.
    unsafe { *request = number };
    file
}

/// Records what the ioctl returns for a request that the driver has answered. See the C header.
///
/// # Safety
///
/// `vdev` must be open.
#[no_mangle]
unsafe extern "C" fn vfio_history_answer(
    vdev: *mut vfio_device,
    request: u64,
    ret: c_int,
) -> c_int {
    if ret == 0 || request == 0 {
        return ret;
    }
    // SAFETY: The device is open, so it is valid until this function returns, and its history is
    // not freed.
    if let Some(history) = unsafe { history_of(vdev) } {
        // CAST: An errno is less than 4096.
        history.fail_ioctl(request, -ret as u16);
    }
    ret
}

// Checks that the functions above have the types that the C header declares.
const _: unsafe extern "C" fn(*mut vfio_device, MigState, *mut u64) -> *mut file =
    bindings::vfio_history_set_state;
const _: unsafe extern "C" fn(*mut vfio_device, u64, c_int) -> c_int =
    bindings::vfio_history_answer;
