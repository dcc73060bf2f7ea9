// SPDX-License-Identifier: GPL-2.0

//! The bindings of the VFIO core's headers, and the C functions that they declare.

#![allow(non_camel_case_types)]

pub use kernel::bindings::*;
use kernel::ffi::{c_int, c_uint};

pub const VFIO_RUST_IOCTL_PRECOPY_INFO: c_uint = 0x3b79;
/// `EPOLLIN | EPOLLRDNORM`
pub const VFIO_RUST_POLL_READABLE: c_uint = 0x41;
/// `EPOLLRDHUP`
pub const VFIO_RUST_POLL_OVER: c_uint = 0x2000;
/// `EPOLLERR`
pub const VFIO_RUST_POLL_ERROR: c_uint = 0x8;

#[repr(C)]
pub struct vfio_precopy_info {
    pub argsz: u32,
    pub flags: u32,
    pub initial_bytes: u64,
    pub dirty_bytes: u64,
}

pub const VFIO_MIGRATION_STOP_COPY: u32 = 1;
pub const VFIO_MIGRATION_P2P: u32 = 2;
pub const VFIO_MIGRATION_PRE_COPY: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct vfio_device_mig_state(pub u32);

impl vfio_device_mig_state {
    pub const VFIO_DEVICE_STATE_ERROR: Self = Self(0);
    pub const VFIO_DEVICE_STATE_STOP: Self = Self(1);
    pub const VFIO_DEVICE_STATE_RUNNING: Self = Self(2);
    pub const VFIO_DEVICE_STATE_STOP_COPY: Self = Self(3);
    pub const VFIO_DEVICE_STATE_RESUMING: Self = Self(4);
    pub const VFIO_DEVICE_STATE_RUNNING_P2P: Self = Self(5);
    pub const VFIO_DEVICE_STATE_PRE_COPY: Self = Self(6);
    pub const VFIO_DEVICE_STATE_PRE_COPY_P2P: Self = Self(7);
    pub const VFIO_DEVICE_STATE_NR: Self = Self(8);
}

pub struct vfio_device {
    pub migration_flags: u32,
}

/// The table of `vfio_mig_get_next_state()` in `drivers/vfio/vfio_main.c`: by the numbers of the
/// present state and of the target, the number of the next state.
const NEXT: [[u32; 8]; 8] = [
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 1, 5, 3, 4, 5, 5, 5],
    [0, 5, 2, 5, 5, 5, 6, 5],
    [0, 1, 1, 3, 1, 1, 0, 0],
    [0, 1, 1, 1, 4, 1, 1, 1],
    [0, 1, 2, 1, 1, 5, 2, 7],
    [0, 2, 2, 7, 2, 2, 6, 7],
    [0, 5, 5, 3, 5, 5, 6, 7],
];

/// The features that a state needs, by its number.
const NEEDS: [u32; 8] = [!0, 1, 1, 1, 1, 1 | 2, 1 | 4, 1 | 2 | 4];

const EINVAL: c_int = -22;

/// # Safety
///
/// The pointers must be valid.
pub unsafe fn vfio_mig_get_next_state(
    device: *mut vfio_device,
    current: vfio_device_mig_state,
    target: vfio_device_mig_state,
    next: *mut vfio_device_mig_state,
) -> c_int {
    // SAFETY: By the safety requirements.
    let offered = unsafe { (*device).migration_flags };
    let possible = |state: u32| NEEDS[state as usize] & offered == NEEDS[state as usize];
    if !possible(current.0) || !possible(target.0) {
        return EINVAL;
    }
    let mut state = NEXT[current.0 as usize][target.0 as usize];
    while state != 0 && !possible(state) {
        state = NEXT[state as usize][target.0 as usize];
    }
    if state == 0 {
        return EINVAL;
    }
    // SAFETY: By the safety requirements.
    unsafe { next.write(vfio_device_mig_state(state)) };
    0
}

/// Each look at it is a point where the thread can see a reset.
///
/// # Safety
///
/// None; as in C.
pub unsafe fn vfio_rust_helper_fatal_signal_pending() -> bool {
    if let Some(hardware) = crate::hardware::Hardware::present() {
        hardware.can_look();
    }
    false
}

/// # Safety
///
/// None; as in C.
pub unsafe fn vfio_rust_helper_cond_resched() {}
