// SPDX-License-Identifier: GPL-2.0

//! The file `migration/state`: which state of the migration protocol a device is in.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::file::{
    MigState,
    SeqFileOps,
    VfioDevice, //
};

/// The text for a value that the uAPI does not define.
const INVALID: &str = "Invalid";

/// The states of `enum vfio_device_mig_state` and their texts.
///
/// The length is the number of states in the uAPI. If a state is added there, this does not compile
/// until the state has a name here.
const STATES: [(MigState, &str); MigState::VFIO_DEVICE_STATE_NR.0 as usize] = [
    (MigState::VFIO_DEVICE_STATE_ERROR, "ERROR"),
    (MigState::VFIO_DEVICE_STATE_STOP, "STOP"),
    (MigState::VFIO_DEVICE_STATE_RUNNING, "RUNNING"),
    (MigState::VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY"),
    (MigState::VFIO_DEVICE_STATE_RESUMING, "RESUMING"),
    (MigState::VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P"),
    (MigState::VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY"),
    (MigState::VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P"),
];

// The table is indexed by the number of the state.
const _: () = {
    let mut number = 0;
    while number < STATES.len() {
        assert!(STATES[number].0 .0 as usize == number);
        number += 1;
    }
};

/// Returns the name of `state` in the uAPI.
fn name(state: MigState) -> &'static str {
    STATES
        .get(state.0 as usize)
        .map_or(INVALID, |&(_, name)| name)
}

/// The file `migration/state`.
pub(crate) struct State;

impl SeqFileOps for State {
    const NAME: &'static CStr = c"state";

    /// Prints the state's name.
    ///
    /// Fails with [`EINVAL`] if the driver does not report the state, for whatever reason.
    fn show(device: &VfioDevice, seq: &SeqFile) -> Result {
        let state = device.state().map_err(|_| EINVAL)?;

        seq_print!(seq, "{}\n", name(state));
        Ok(())
    }
}

#[kunit_tests(vfio_debugfs_state)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_enum() {
        let expected = [
            "ERROR",
            "STOP",
            "RUNNING",
            "STOP_COPY",
            "RESUMING",
            "RUNNING_P2P",
            "PRE_COPY",
            "PRE_COPY_P2P",
        ];

        for (number, expected) in (0..).zip(expected) {
            assert_eq!(name(MigState(number)), expected);
        }
    }

    #[test]
    fn other_values_are_invalid() {
        for number in [8, 9, 0x100, u32::MAX] {
            assert_eq!(name(MigState(number)), "Invalid");
        }
    }
}
