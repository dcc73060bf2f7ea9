// SPDX-License-Identifier: GPL-2.0

//! The states of the migration protocol.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::bindings;
use kernel::prelude::*;

/// A state of the migration protocol, `enum vfio_device_mig_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// The device failed. Only a reset leaves this state.
    Error = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_ERROR.0,
    /// The device is stopped, and its state does not change.
    Stop = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_STOP.0,
    /// The device runs.
    Running = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RUNNING.0,
    /// The device is stopped, and its state can be read.
    StopCopy = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_STOP_COPY.0,
    /// The device is stopped, and its state can be written.
    Resuming = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RESUMING.0,
    /// Like [`State::Running`], without accesses to other devices.
    RunningP2p = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RUNNING_P2P.0,
    /// The device runs, and the part of its state that is known can be read.
    PreCopy = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_PRE_COPY.0,
    /// Like [`State::PreCopy`], without accesses to other devices.
    PreCopyP2p = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_PRE_COPY_P2P.0,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_NR.0 as usize] = [
        Self::Error,
        Self::Stop,
        Self::Running,
        Self::StopCopy,
        Self::Resuming,
        Self::RunningP2p,
        Self::PreCopy,
        Self::PreCopyP2p,
    ];

    /// Returns the name of the state in the uAPI, without its prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Stop => "STOP",
            Self::Running => "RUNNING",
            Self::StopCopy => "STOP_COPY",
            Self::Resuming => "RESUMING",
            Self::RunningP2p => "RUNNING_P2P",
            Self::PreCopy => "PRE_COPY",
            Self::PreCopyP2p => "PRE_COPY_P2P",
        }
    }
}

impl TryFrom<bindings::vfio_device_mig_state> for State {
    type Error = Error;

    fn try_from(value: bindings::vfio_device_mig_state) -> Result<Self> {
        // CAST: The enum is an unsigned integer of 32 bits.
        Self::ALL.get(value.0 as usize).copied().ok_or(EINVAL)
    }
}

impl From<State> for bindings::vfio_device_mig_state {
    fn from(state: State) -> Self {
        Self(state as u32)
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_migration)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_numbers_of_the_uapi() {
        for (number, state) in State::ALL.iter().enumerate() {
            assert_eq!(*state as u32, number as u32);
            assert_eq!(
                State::try_from(bindings::vfio_device_mig_state(number as u32)),
                Ok(*state)
            );
        }
    }

    #[test]
    fn numbers_beyond_the_uapi_are_no_states() {
        for number in [8, u32::MAX] {
            assert_eq!(
                State::try_from(bindings::vfio_device_mig_state(number)),
                Err(EINVAL)
            );
        }
    }
}
