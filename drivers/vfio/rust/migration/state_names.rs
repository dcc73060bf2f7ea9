// SPDX-License-Identifier: GPL-2.0

//! The names of the states of the migration protocol.
//!
//! VFIO core's debugfs compiles this file as well.

use crate::bindings::vfio_device_mig_state as MigState;

/// The states of `enum vfio_device_mig_state` and their names, without the prefix of the uAPI.
///
/// The length is the number of states in the uAPI. If a state is added there, this does not compile
/// until the state has a name here.
///
/// C header: `include/uapi/linux/vfio.h`
pub(crate) const NAMES: [(MigState, &str); MigState::VFIO_DEVICE_STATE_NR.0 as usize] = [
    (MigState::VFIO_DEVICE_STATE_ERROR, "ERROR"),
    (MigState::VFIO_DEVICE_STATE_STOP, "STOP"),
    (MigState::VFIO_DEVICE_STATE_RUNNING, "RUNNING"),
    (MigState::VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY"),
    (MigState::VFIO_DEVICE_STATE_RESUMING, "RESUMING"),
    (MigState::VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P"),
    (MigState::VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY"),
    (MigState::VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P"),
];

/// Returns the name of `state`, if the uAPI defines it.
#[allow(dead_code, reason = "the crate vfio has an enum for the state")]
pub(crate) fn name(state: MigState) -> Option<&'static str> {
    // CAST: The enum is an unsigned integer of 32 bits.
    NAMES.get(state.0 as usize).map(|&(_, name)| name)
}

// The table is indexed by the number of the state.
const _: () = {
    let mut number = 0;
    while number < NAMES.len() {
        assert!(NAMES[number].0 .0 as usize == number);
        number += 1;
    }
};
