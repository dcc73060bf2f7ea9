// SPDX-License-Identifier: GPL-2.0

//! The file `migration/state`: which state of the migration protocol a device is in.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    file::{
        MigratableDevice,
        SeqFileOps, //
    },
    state_names::name, //
};

/// The text for a value that the uAPI does not define.
const INVALID: &str = "Invalid";

/// The file `migration/state`.
pub(crate) struct State;

impl SeqFileOps for State {
    const NAME: &'static CStr = c"state";

    /// Prints the state's name.
    ///
    /// Fails with [`EINVAL`] if the driver does not report the state, for whatever reason.
    fn show(device: &impl MigratableDevice, seq: &SeqFile) -> Result {
        let state = device.state().map_err(|_| EINVAL)?;

        seq_print!(seq, "{}\n", name(state).unwrap_or(INVALID));
        Ok(())
    }
}

#[kunit_tests(vfio_debugfs_state)]
mod tests {
    use super::*;
    use crate::file::MigState;

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
            assert_eq!(name(MigState(number)), Some(expected));
        }
    }

    #[test]
    fn other_values_have_no_name() {
        for number in [8, 9, 0x100, u32::MAX] {
            assert_eq!(name(MigState(number)), None);
        }
    }
}
