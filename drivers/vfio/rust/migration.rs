// SPDX-License-Identifier: GPL-2.0

//! The migration protocol: typed states and arcs, and the callbacks of a device that can migrate.
//!
//! Most devices want a [`StateMachine`]: it owns the device, walks the arcs, serves the data files and
//! takes resets, and asks the driver, by the trait [`Migrate`], for what only the driver can do.
//!
//! C header: `include/uapi/linux/vfio.h`

mod arc;
mod data;
mod features;
mod machine;
mod migrate;
mod session;
mod state;

pub use self::{
    arc::MigArc,
    data::{
        Data,
        Image, //
    },
    features::Features,
    machine::{
        MachineGuard,
        StateMachine,
        IMAGE_MAX, //
    },
    migrate::{
        Failure,
        Migrate, //
    },
    session::{
        Direction,
        Session,
        StreamFormat, //
    },
    state::State, //
};

use crate::device::CoreDevice;
use kernel::{
    device::Bound,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

/// What the VFIO core asks of a device that can migrate; `struct vfio_migration_ops` and what goes
/// with it.
///
/// [`StateMachine`] implements it for a device whose state is one structure. A driver whose data are of
/// another kind implements it by itself, with [`data_file`] for the files and [`ResetMutex`] for what
/// a reset must not wait for.
///
/// The callbacks run in process context, while the function is bound to the driver; the core does
/// not serialise them.
///
/// [`data_file`]: crate::data_file
/// [`ResetMutex`]: crate::reset::ResetMutex
pub trait Migration: Send + Sync {
    /// What the device offers; asked once. [`Features::STOP_COPY`] need not be said.
    fn features(&self) -> Features;

    /// Takes the open device to `target`, arc by arc ([`CoreDevice::next_arc`]).
    ///
    /// Returns the data file of the state that was entered, if it has one. On failure the device
    /// is in the state that [`Migration::state`] says.
    fn set_state(&self, core: &CoreDevice<Bound>, target: State) -> Result<Option<ARef<File>>>;

    /// The state the device is in. Also called while the device is closed.
    fn state(&self) -> State;

    /// Bytes that the stop-copy phase will take.
    fn data_size(&self, core: &CoreDevice<Bound>) -> Result<usize>;

    /// The device's last user has gone: sessions are over, and the next user finds it running.
    fn closed(&self, core: &CoreDevice<Bound>);

    /// Called when a reset of the function was requested, before
    /// [`Operations::reset_prepare`](crate::device::Operations::reset_prepare), which may wait. From now
    /// on until [`Migration::reset_done`] the device lock is held.
    ///
    /// A VMM that fails to set a state asks for a reset, which fails with [`EAGAIN`] while another
    /// one holds the device lock; QEMU then ends the VM. So [`Migration::set_state`] should wait
    /// for the end of a reset rather than fail because of it.
    fn reset_announced(&self) {}

    /// Called when the function is about to be reset. The locks are those of
    /// [`Operations::reset_prepare`](crate::device::Operations::reset_prepare): nothing may be waited for.
    fn reset_prepare(&self);

    /// The function has been reset; as [`Migration::reset_prepare`].
    fn reset_done(&self);
}
