// SPDX-License-Identifier: GPL-2.0

//! What a [`StateMachine`](super::StateMachine) asks of the driver, and tells it.

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
/// Why data are refused, see [`StreamFormat::Reject`].
pub(super) type RejectOf<M> = <<M as Migrate>::Format as StreamFormat>::Reject;
/// What of an image can be loaded, see [`StreamFormat::Verified`].
pub(super) type VerifiedOf<M> = <<M as Migrate>::Format as StreamFormat>::Verified;

/// A failed step, and the state that it leaves the device in.
///
/// There is no conversion from [`Error`]: only the driver knows whether a command that failed has
/// changed the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device is in the state that it was in before.
    Recoverable(Error),
    /// The state of the device is not known: it is in [`State::Error`] until it is reset.
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

/// What only the driver can do on the way from one state to another.
///
/// The implementing type is the driver's part of an open device. Every callback may sleep, but not
/// for long: the user waits for it, and so does a reader of the state in debugfs. Callbacks do not
/// run concurrently. None may wait for user memory, or for a page fault on the device's own.
///
/// No callback that gets a [`CoreDevice`] is called when the function is known to be in reset. As a reset
/// waits for no callback, it can still begin while one runs: a callback must end by itself
/// whatever the registers read as. What it returns then does not matter, as the device is in
/// [`State::Running`] after the reset.
///
/// [`State::Running`]: super::State::Running
#[vtable]
pub trait Migrate: Send + Unpin + 'static {
    /// What the device expects of the data that it is to load.
    type Format: StreamFormat;

    /// Name of the data files, in `/proc/<pid>/fd`.
    const FILE: &'static CStr = c"vfio_mig";

    /// Stops the device: what it has begun is finished, and it does nothing any more.
    fn stop(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure>;

    /// Starts the stopped device; quiet, if there is [`Migrate::quiesce`].
    fn start(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// Has the device access no other device any more. A driver that has this offers the P2P
    /// states, and must have [`Migrate::unquiesce`] as well.
    fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// Undoes [`Migrate::quiesce`].
    fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    /// What can be said of the running device: the first [`StreamFormat::HEAD`] bytes of its image. A
    /// driver that has this offers pre-copy.
    fn save_head(&mut self, _core: &CoreDevice<Bound>) -> Result<ImageOf<Self>> {
        Err(EOPNOTSUPP)
    }

    /// The stopped device's state. `pre_copy` is what was sent in pre-copy; the data must begin with
    /// the same bytes.
    fn save(
        &mut self,
        core: &CoreDevice<Bound>,
        pre_copy: Option<&Data<ImageOf<Self>>>,
    ) -> Result<Data<ImageOf<Self>>>;

    /// What the stopped device expects of the data that are to come.
    fn stream_format(&mut self, core: &CoreDevice<Bound>) -> Result<Self::Format>;

    /// Loads a state into the stopped device. If this fails, nobody knows what it has of it: it is
    /// in [`State::Error`] then.
    ///
    /// [`State::Error`]: super::State::Error
    fn load(&mut self, core: &CoreDevice<Bound>, state: VerifiedOf<Self>) -> Result;

    /// Called after the device was reset, as soon as no other callback runs. Must not access the
    /// function, as the next reset may have begun; [`Operations::reset_done`] can.
    ///
    /// [`Operations::reset_done`]: crate::device::Operations::reset_done
    fn reset(&mut self) {}

    /// Called when the device's last user has closed it, after the end of its session. Must not
    /// access the function.
    fn closed(&mut self, _core: &CoreDevice<Bound>) {}

    /// `arc` is about to be walked.
    fn arc_begins(&mut self, _arc: MigArc) {}

    /// `arc` was walked. A session that it ends has ended.
    fn arc_walked(&mut self, _arc: MigArc) {}

    /// `arc` was not walked. A session that ends by [`Failure::Fatal`] has not ended yet.
    fn arc_failed(&mut self, _core: &CoreDevice<Bound>, _arc: MigArc, _failure: Failure) {}

    /// A session has begun, on the arc that is being walked. There is one at a time.
    fn session_begun(&mut self, _direction: Direction) {}

    /// What has come in is not to be loaded, as [`StreamFormat::verify`] says. The session goes on.
    fn session_refused(&mut self, _reject: RejectOf<Self>) {}

    /// The session is over. What it has can be kept.
    fn session_ended(&mut self, _session: Session<Self::Format>) {}
}
