// SPDX-License-Identifier: GPL-2.0

//! Callbacks of a [`StateMachine`](super::StateMachine) to the driver.

use super::{
    data::Data,
    session::{
        Direction,
        Session,
        StreamFormat, //
    },
    MigArc, //
};
use crate::device::CoreDevice;
use kernel::{
    device::Bound,
    prelude::*, //
};

/// The image of a device, see [`StreamFormat::Image`].
pub(super) type ImageOf<M> = <<M as Migrate>::Format as StreamFormat>::Image;
/// The reason for refusing data, see [`StreamFormat::Reject`].
pub(super) type RejectOf<M> = <<M as Migrate>::Format as StreamFormat>::Reject;
/// The loadable form of an image, see [`StreamFormat::Verified`].
pub(super) type VerifiedOf<M> = <<M as Migrate>::Format as StreamFormat>::Verified;

/// The failure of a step, and the state in which it leaves the device.
///
/// There is no conversion from [`Error`], because only the driver knows whether a failed command
/// has changed the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device is in the same state as before.
    Recoverable(Error),
    /// The state of the device is unknown. It enters [`State::Error`], until it is reset.
    ///
    /// [`State::Error`]: super::State::Error
    Fatal(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Recoverable(e) | Failure::Fatal(e) => e,
        }
    }
}

/// The device-specific steps of state transitions.
///
/// The implementing type is the driver's part of an open device. Every callback may sleep, but not
/// for long: it blocks the user, and any reader of the debugfs `state` file. Callbacks do not run
/// concurrently. They must not wait for user memory, or for a page fault on the device's memory.
///
/// No callback that gets a [`CoreDevice`] is called while the function is known to be in reset. A
/// reset does not wait for callbacks, so it can begin while one runs: every callback must
/// terminate, whatever values the registers return. Its result is then ignored, because the device
/// is in [`State::Running`] after the reset.
///
/// [`State::Running`]: super::State::Running
#[vtable]
pub trait Migrate: Send + Unpin + 'static {
    /// The format of the data that the device can load.
    type Format: StreamFormat;

    /// Name of the data files, in `/proc/<pid>/fd`.
    const FILE: &'static CStr = c"vfio_mig";

    /// Stops the device. It finishes the work that it has begun and starts no more.
    fn stop(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure>;

    /// Starts the stopped device. It is started quiescent if the driver has [`Migrate::quiesce`].
    fn start(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// Keeps the device from accessing other devices. A driver that implements this offers the P2P
    /// states, and must also implement [`Migrate::unquiesce`].
    fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// Undoes [`Migrate::quiesce`].
    fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the part of the state that is known while the device runs: the first
    /// [`StreamFormat::HEAD`] bytes of its image. A driver that implements this offers pre-copy.
    fn save_head(&mut self, _core: &CoreDevice<Bound>) -> Result<ImageOf<Self>> {
        Err(EOPNOTSUPP)
    }

    /// Returns the state of the stopped device. `pre_copy` is the data that was sent in pre-copy;
    /// the result must begin with the same bytes.
    fn save(
        &mut self,
        core: &CoreDevice<Bound>,
        pre_copy: Option<&Data<ImageOf<Self>>>,
    ) -> Result<Data<ImageOf<Self>>>;

    /// Returns the format that the stopped device requires of the data to load.
    fn stream_format(&mut self, core: &CoreDevice<Bound>) -> Result<Self::Format>;

    /// Loads a state into the stopped device. If this fails, the device may have loaded a part of
    /// it, so it enters [`State::Error`].
    ///
    /// [`State::Error`]: super::State::Error
    fn load(&mut self, core: &CoreDevice<Bound>, state: VerifiedOf<Self>) -> Result;

    /// Called after the device was reset, as soon as no other callback runs. It must not access the
    /// function, because the next reset may have begun; [`Operations::reset_done`] may.
    ///
    /// [`Operations::reset_done`]: crate::device::Operations::reset_done
    fn reset(&mut self) {}

    /// Called on last close, after the end of the session. It must not access the function.
    fn closed(&mut self, _core: &CoreDevice<Bound>) {}

    /// Called before `arc` is walked.
    fn arc_begins(&mut self, _arc: MigArc) {}

    /// Called after `arc` was walked. A session that ends with it has already ended.
    fn arc_walked(&mut self, _arc: MigArc) {}

    /// Called when `arc` has failed. A session that ends because of [`Failure::Fatal`] has not
    /// ended yet.
    fn arc_failed(&mut self, _core: &CoreDevice<Bound>, _arc: MigArc, _failure: Failure) {}

    /// Called when a session has begun, during the arc that is being walked. There is at most one
    /// session at a time.
    fn session_begun(&mut self, _direction: Direction) {}

    /// Called when [`StreamFormat::verify`] has refused the received data. The session continues.
    fn session_refused(&mut self, _reject: RejectOf<Self>) {}

    /// Called when a session has ended. Its data may be kept.
    fn session_ended(&mut self, _session: Session<Self::Format>) {}
}
