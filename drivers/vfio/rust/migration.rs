// SPDX-License-Identifier: GPL-2.0

//! The migration protocol: states, arcs, and the callbacks of a device that can migrate.
//!
//! Most drivers use a [`StateMachine`]: it owns the device, walks the arcs, serves the data files
//! and handles resets. It calls the driver through the trait [`Migrate`] for everything that is
//! specific to the device.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

mod arc;
mod data;
mod features;
mod machine;
mod migrate;
mod session;
mod state_names;

pub use self::{
    arc::MigArc,
    data::{
        Data,
        Image, //
    },
    features::Features,
    machine::{
        MachineGuard,
        StateMachine, //
    },
    migrate::{
        Failure,
        Migrate, //
    },
    session::{
        Direction,
        Session,
        StreamFormat, //
    }, //
};

use self::state_names::NAMES;
use crate::{
    bindings,
    device::CoreDevice,
    dma_logging::DmaLogging, //
};
use kernel::{
    device::Bound,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

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
    pub(crate) const ALL: [Self; bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_NR.0 as usize] = [
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
        // CAST: The numbers of the states are those of the uAPI, below the length of the table.
        NAMES[self as usize].1
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

/// The migration of a device: `struct vfio_migration_ops`, and notifications of resets and of the
/// last close.
///
/// [`StateMachine`] implements it for a device whose state is one structure.
///
/// The callbacks run in process context, while the function is bound to the driver; the core does
/// not serialise them.
pub trait Migration: Send + Sync {
    /// Returns what the device offers. Called once. [`Features::STOP_COPY`] is always added.
    fn features(&self) -> Features;

    /// Takes the open device to `target`, arc by arc.
    ///
    /// Returns the data file of the state that was entered, if it has one. On failure the device is
    /// in the state that [`Migration::state`] returns.
    fn set_state(&self, core: &CoreDevice<Bound>, target: State) -> Result<Option<ARef<File>>>;

    /// Returns the state of the device. Also called while the device is closed.
    fn state(&self) -> State;

    /// Returns how many bytes the stop-copy phase will transfer.
    fn data_size(&self, core: &CoreDevice<Bound>) -> Result<usize>;

    /// Returns the device's DMA logging, if it offers that. The result must not change between
    /// `None` and `Some`.
    fn dma_logging(&self) -> Option<&dyn DmaLogging> {
        None
    }

    /// Called on last close: all sessions end, and the device is in [`State::Running`] for the next
    /// user.
    fn closed(&self, core: &CoreDevice<Bound>);

    /// Called when a reset of the function was requested, before
    /// [`Operations::reset_prepare`](crate::device::Operations::reset_prepare), which may wait. The
    /// device lock is held from now on until [`Migration::reset_done`].
    ///
    /// A VMM that fails to set a state requests a reset, which fails with [`EAGAIN`] while another
    /// reset holds the device lock; QEMU then terminates the VM. So [`Migration::set_state`] should
    /// wait for the end of a reset instead of failing because of it.
    fn reset_announced(&self) {}

    /// Called when the function is about to be reset. The same locks are held as in
    /// [`Operations::reset_prepare`](crate::device::Operations::reset_prepare), so this must not
    /// wait.
    fn reset_prepare(&self);

    /// Called after the function was reset, under the same conditions as
    /// [`Migration::reset_prepare`].
    fn reset_done(&self);
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
