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
        Session, //
        StreamFormat,
    }, //
};

use crate::{
    bindings,
    device::{
        self,
        CoreDevice,
        Device, //
    },
};
use core::marker::PhantomData;
use kernel::{
    device::Bound,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

/// A state of the migration protocol, `enum vfio_device_mig_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// The device failed; only a reset leads out.
    Error = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_ERROR.0,
    /// The device does not run and does not change.
    Stop = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_STOP.0,
    /// The device runs.
    Running = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RUNNING.0,
    /// The device does not run; its state can be read.
    StopCopy = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_STOP_COPY.0,
    /// The device does not run; its state can be written.
    Resuming = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RESUMING.0,
    /// As [`State::Running`], without accesses to other devices.
    RunningP2p = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_RUNNING_P2P.0,
    /// The device runs; what is known of its state can be read.
    PreCopy = bindings::vfio_device_mig_state::VFIO_DEVICE_STATE_PRE_COPY.0,
    /// As [`State::PreCopy`], without accesses to other devices.
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

    /// The state's name in the uAPI, without its prefix.
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
        // CAST: the enum is an unsigned one of 32 bit.
        Self::ALL.get(value.0 as usize).copied().ok_or(EINVAL)
    }
}

impl From<State> for bindings::vfio_device_mig_state {
    fn from(state: State) -> Self {
        Self(state as u32)
    }
}

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
    /// [`Operations::reset_prepare`](device::Operations::reset_prepare), which may wait. From now
    /// on until [`Migration::reset_done`] the device lock is held.
    ///
    /// A VMM that fails to set a state asks for a reset, which fails with [`EAGAIN`] while another
    /// one holds the device lock; QEMU then ends the VM. So [`Migration::set_state`] should wait
    /// for the end of a reset rather than fail because of it.
    fn reset_announced(&self) {}

    /// Called when the function is about to be reset. The locks are those of
    /// [`Operations::reset_prepare`](device::Operations::reset_prepare): nothing may be waited for.
    fn reset_prepare(&self);

    /// The function has been reset; as [`Migration::reset_prepare`].
    fn reset_done(&self);
}

/// Has the core offer the migration of a device of the driver `T`.
///
/// # Safety
///
/// `vdev` must be embedded in a [`Device<T>`] that is not registered yet, and `migration` must be
/// what [`migration`](device::Operations::migration) of its data returns.
pub(crate) unsafe fn offer<T: device::Operations>(
    vdev: *mut bindings::vfio_device,
    migration: &dyn Migration,
) {
    // SAFETY: By the safety requirements `vdev` is valid and nobody else looks at it yet.
    unsafe {
        (*vdev).migration_flags = (migration.features() | Features::STOP_COPY).bits();
        (*vdev).mig_ops = &VTable::<T>::VTABLE;
    }
}

struct VTable<T: device::Operations>(PhantomData<T>);

impl<T: device::Operations> VTable<T> {
    const VTABLE: bindings::vfio_migration_ops = bindings::vfio_migration_ops {
        migration_set_state: Some(Self::set_state),
        migration_get_state: Some(Self::get_state),
        migration_get_data_size: Some(Self::get_data_size),
    };

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`].
    unsafe extern "C" fn set_state(
        vdev: *mut bindings::vfio_device,
        new: bindings::vfio_device_mig_state,
    ) -> *mut kernel::bindings::file {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let file = State::try_from(new).and_then(|target| {
            let migration = dev.migration().ok_or(ENODEV)?;
            migration.set_state(dev.core(), target)
        });
        match file {
            Ok(Some(file)) => ARef::into_raw(file).cast().as_ptr(),
            Ok(None) => core::ptr::null_mut(),
            Err(e) => e.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`]; `state` must be valid for a write.
    unsafe extern "C" fn get_state(
        vdev: *mut bindings::vfio_device,
        state: *mut bindings::vfio_device_mig_state,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        match dev.migration() {
            Some(migration) => {
                // SAFETY: By the safety requirements.
                unsafe { state.write(migration.state().into()) };
                0
            }
            None => ENODEV.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`]; `len` must be valid for a write.
    unsafe extern "C" fn get_data_size(
        vdev: *mut bindings::vfio_device,
        len: *mut c_ulong,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let size = dev
            .migration()
            .ok_or(ENODEV)
            .and_then(|migration| migration.data_size(dev.core()));
        match size {
            Ok(size) => {
                // SAFETY: By the safety requirements.
                unsafe { len.write(size) };
                0
            }
            Err(e) => e.to_errno(),
        }
    }
}

impl CoreDevice {
    /// The next state on the core's path from `current` to `target`.
    #[inline]
    fn next_state(&self, current: State, target: State) -> Result<State> {
        // The core takes it for a driver's fault to be asked for a way out of ERROR, and warns;
        // but any user can ask.
        if current == State::Error {
            return Err(EINVAL);
        }

        let mut next = current.into();
        // SAFETY: `self.vdev()` is a valid device and `next` valid for a write.
        to_result(unsafe {
            bindings::vfio_mig_get_next_state(self.vdev(), current.into(), target.into(), &mut next)
        })?;
        State::try_from(next)
    }

    /// The next arc on the core's path from `current` to `target`, which are not the same.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if there is no path with what the device offers. From [`State::Error`] there
    /// never is.
    ///
    /// C: `vfio_mig_get_next_state()`
    #[inline]
    pub fn next_arc(&self, current: State, target: State) -> Result<MigArc> {
        let next = self.next_state(current, target)?;
        MigArc::between(current, next).ok_or(EINVAL)
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
