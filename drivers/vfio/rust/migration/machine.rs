// SPDX-License-Identifier: GPL-2.0

//! The state machine of a device whose state is one structure.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use super::{
    session::{
        Data,
        Expect,
        Resuming,
        Saving, //
    },
    Features,
    MigArc,
    Migration,
    State, //
};
use crate::{
    data_file::{
        self,
        Readable, //
    },
    device::Core,
    reset::{
        Guarded,
        Reset, //
    }, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// Longest image of a [`Machine`], in bytes: it is passed on the stack.
pub const IMAGE_MAX: usize = 1024;

/// The image of a device, see [`Expect::Image`].
type ImageOf<M> = <<M as Migrate>::Expected as Expect>::Image;
/// What of an image can be loaded, see [`Expect::Verified`].
type VerifiedOf<M> = <<M as Migrate>::Expected as Expect>::Verified;

/// A session that the user reads from.
type Session<M> = Arc<Readable<Saving<ImageOf<M>>>>;

/// A failed step, and where it leaves the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// In the state it was in.
    Kept(Error),
    /// In no state that it could go on from: it is in [`State::Error`] until it is reset.
    Broken(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Kept(e)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Kept(e) | Failure::Broken(e) => e,
        }
    }
}

/// What only the driver can do on the way from one state to another.
///
/// The implementing type is the driver's part of an open device. Every callback may sleep, but not
/// for long: the user waits for it, and so does who looks at the state in debugfs. None runs while
/// another one does, and none begins while the function is being reset. None may wait for user
/// memory, or for a page fault on the device's own.
#[vtable]
pub trait Migrate: Send + Unpin + 'static {
    /// What the device expects of the data that it is to load.
    type Expected: Expect;

    /// Name of the data files, in `/proc/<pid>/fd`.
    const FILE: &'static CStr = c"vfio_mig";

    /// Stops the device: what it has begun is finished, and it does nothing any more.
    fn stop(&mut self, core: &Core) -> Result<(), Failure>;

    /// Starts the stopped device; quiet, if there is [`Migrate::quiesce`].
    fn start(&mut self, _core: &Core) -> Result<(), Failure> {
        Ok(())
    }

    /// Has the device access no other device any more. A driver that has this offers the P2P
    /// states.
    fn quiesce(&mut self, _core: &Core) -> Result<(), Failure> {
        Ok(())
    }

    /// Undoes [`Migrate::quiesce`].
    fn unquiesce(&mut self, _core: &Core) -> Result<(), Failure> {
        Ok(())
    }

    /// What can be said of the running device: the first [`Expect::HEAD`] bytes of its image. A
    /// driver that has this offers pre-copy.
    fn save_head(&mut self, _core: &Core) -> Result<ImageOf<Self>> {
        Err(EOPNOTSUPP)
    }

    /// The stopped device's state. `begun` is what was sent in pre-copy; the data must begin with
    /// the same bytes.
    fn save(
        &mut self,
        core: &Core,
        begun: Option<&Data<ImageOf<Self>>>,
    ) -> Result<Data<ImageOf<Self>>>;

    /// What the stopped device expects of the data that are to come.
    fn expected(&mut self, core: &Core) -> Result<Self::Expected>;

    /// Loads a state into the stopped device. If this fails, nobody knows what it has of it: it is
    /// in [`State::Error`] then.
    fn load(&mut self, core: &Core, state: VerifiedOf<Self>) -> Result;

    /// The device has been reset. The function's registers must not be waited for.
    fn reset(&mut self) {}
}

/// What a device is doing, one value for each state of the protocol.
enum Doing<M: Migrate> {
    Running,
    RunningP2p,
    PreCopy(Session<M>),
    PreCopyP2p(Session<M>),
    Stop,
    StopCopy(Session<M>),
    Resuming(Arc<Resuming<M::Expected>>),
    /// Only a reset leads out.
    Failed,
}

impl<M: Migrate> Doing<M> {
    fn state(&self) -> State {
        match self {
            Self::Running => State::Running,
            Self::RunningP2p => State::RunningP2p,
            Self::PreCopy(_) => State::PreCopy,
            Self::PreCopyP2p(_) => State::PreCopyP2p,
            Self::Stop => State::Stop,
            Self::StopCopy(_) => State::StopCopy,
            Self::Resuming(_) => State::Resuming,
            Self::Failed => State::Error,
        }
    }
}

/// The device, and what it is doing.
///
/// It is what [`Machine::with`] gives access to. Dereferences to the driver's part.
pub struct Owner<M: Migrate> {
    driver: M,
    doing: Doing<M>,
}

impl<M: Migrate> Owner<M> {
    /// The state that the device is in.
    pub fn state(&self) -> State {
        self.doing.state()
    }

    /// Enters a state; the session of the one that is left is over.
    fn enter(&mut self, next: Doing<M>) {
        match core::mem::replace(&mut self.doing, next) {
            Doing::PreCopy(session) | Doing::PreCopyP2p(session) | Doing::StopCopy(session) => {
                session.close();
            }
            Doing::Resuming(session) => {
                session.close();
            }
            Doing::Running | Doing::RunningP2p | Doing::Stop | Doing::Failed => {}
        }
    }

    /// Walks `arc`. A failure leaves the device in its state, or in [`State::Error`].
    ///
    /// Returns the data file, if the arc makes one.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the arc does not begin where the device is, and those of the driver.
    pub fn walk(&mut self, core: &Core, arc: MigArc) -> Result<Option<ARef<File>>> {
        if arc.ends().0 != self.state() {
            return Err(EINVAL);
        }
        self.try_walk(core, arc).map_err(|failure| match failure {
            Failure::Kept(error) => error,
            Failure::Broken(error) => {
                self.enter(Doing::Failed);
                error
            }
        })
    }

    fn try_walk(&mut self, core: &Core, arc: MigArc) -> Result<Option<ARef<File>>, Failure> {
        let driver = &mut self.driver;
        let (next, file) = match (arc, &self.doing) {
            (MigArc::RunningToStop | MigArc::RunningP2pToStop, _) => {
                driver.stop(core)?;
                (Doing::Stop, None)
            }
            (MigArc::StopToRunning, _) => {
                driver.start(core)?;
                (Doing::Running, None)
            }
            (MigArc::StopToRunningP2p, _) => {
                driver.start(core)?;
                (Doing::RunningP2p, None)
            }
            (MigArc::RunningToRunningP2p, _) => {
                driver.quiesce(core)?;
                (Doing::RunningP2p, None)
            }
            (MigArc::RunningP2pToRunning, _) => {
                driver.unquiesce(core)?;
                (Doing::Running, None)
            }
            (MigArc::RunningToPreCopy, _) => {
                let (session, file) = pre_copy(driver, core)?;
                (Doing::PreCopy(session), Some(file))
            }
            (MigArc::RunningP2pToPreCopyP2p, _) => {
                let (session, file) = pre_copy(driver, core)?;
                (Doing::PreCopyP2p(session), Some(file))
            }
            (MigArc::PreCopyToRunning, _) => (Doing::Running, None),
            (MigArc::PreCopyP2pToRunningP2p, _) => (Doing::RunningP2p, None),
            // Where the session goes on, nothing ends.
            (MigArc::PreCopyToPreCopyP2p, Doing::PreCopy(session)) => {
                driver.quiesce(core)?;
                self.doing = Doing::PreCopyP2p(session.clone());
                return Ok(None);
            }
            (MigArc::PreCopyP2pToPreCopy, Doing::PreCopyP2p(session)) => {
                driver.unquiesce(core)?;
                self.doing = Doing::PreCopy(session.clone());
                return Ok(None);
            }
            (
                MigArc::PreCopyToStopCopy | MigArc::PreCopyP2pToStopCopy,
                Doing::PreCopy(session) | Doing::PreCopyP2p(session),
            ) => {
                driver.stop(core)?;
                let saved = driver
                    .save(core, Some(session.data()))
                    .and_then(|data| session.go_on(data));
                if let Err(error) = saved {
                    return Err(restart(driver, core, error));
                }
                self.doing = Doing::StopCopy(session.clone());
                return Ok(None);
            }
            (MigArc::StopToStopCopy, _) => {
                let session = Saving::stop_copy(driver.save(core, None)?)?;
                let file = source::<M>(&session)?;
                (Doing::StopCopy(session), Some(file))
            }
            (MigArc::StopCopyToStop, _) => (Doing::Stop, None),
            (MigArc::StopToResuming, _) => {
                let session = Resuming::new(driver.expected(core)?)?;
                let file = data_file::sink::<_, M::OwnerModule>(M::FILE, session.clone())?;
                (Doing::Resuming(session), Some(file))
            }
            (MigArc::ResumingToStop, Doing::Resuming(session)) => {
                let state = session.verify().map_err(|reject| reject.into())?;
                driver.load(core, state).map_err(Failure::Broken)?;
                (Doing::Stop, None)
            }
            // The device is where the arc begins, so it is not one of these.
            (
                MigArc::PreCopyToPreCopyP2p
                | MigArc::PreCopyP2pToPreCopy
                | MigArc::PreCopyToStopCopy
                | MigArc::PreCopyP2pToStopCopy
                | MigArc::ResumingToStop,
                _,
            ) => return Err(EINVAL.into()),
        };

        self.enter(next);
        Ok(file)
    }

    /// Leaves a P2P state that was entered on the way from `origin`, which is none, to where the
    /// device could not be brought: a user who does not know these states must not end in one.
    /// If that fails, too, he does.
    fn turn_back(&mut self, core: &Core, origin: State) {
        if matches!(origin, State::RunningP2p | State::PreCopyP2p) {
            return;
        }
        let arc = match self.state() {
            State::RunningP2p => MigArc::RunningP2pToRunning,
            State::PreCopyP2p => MigArc::PreCopyP2pToPreCopy,
            _ => return,
        };
        let _ = self.walk(core, arc);
    }
}

fn source<M: Migrate>(session: &Session<M>) -> Result<ARef<File>> {
    data_file::source::<_, M::OwnerModule>(M::FILE, session.clone())
}

/// Begins a session while the device runs.
fn pre_copy<M: Migrate>(driver: &mut M, core: &Core) -> Result<(Session<M>, ARef<File>)> {
    let head = Data::head(driver.save_head(core)?, M::Expected::HEAD);
    let session = Saving::pre_copy(head)?;
    let file = source::<M>(&session)?;
    Ok((session, file))
}

/// Lets a device that was stopped in vain run again.
fn restart<M: Migrate>(driver: &mut M, core: &Core, why: Error) -> Failure {
    match driver.start(core) {
        Ok(()) => Failure::Kept(why),
        Err(_) => Failure::Broken(why),
    }
}

impl<M: Migrate> Deref for Owner<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.driver
    }
}

impl<M: Migrate> DerefMut for Owner<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.driver
    }
}

impl<M: Migrate> Reset for Owner<M> {
    fn reset(&mut self) {
        self.enter(Doing::Running);
        self.driver.reset();
    }
}

/// The migration of a device whose state is one structure of at most [`IMAGE_MAX`] bytes.
///
/// It is the one owner of all that changes about the device, behind a lock that resets do not
/// wait for. Data files end with the state that they belong to; a device that could not be
/// brought to a state is in the one it was in, or in one on the way that it can go on from, or in
/// [`State::Error`].
#[pin_data]
pub struct Machine<M: Migrate> {
    #[pin]
    owner: Guarded<Owner<M>>,
}

impl<M: Migrate> Machine<M> {
    /// For a device that runs, and that nobody uses yet.
    pub fn new(driver: M) -> impl PinInit<Self> {
        const {
            assert!(
                size_of::<ImageOf<M>>() <= IMAGE_MAX,
                "the image is too long for the stack"
            )
        };

        pin_init!(Self {
            owner <- Guarded::new(Owner {
                driver,
                doing: Doing::Running,
            }),
        })
    }

    /// Runs `f` while nothing else is done to the device but resets; those it must ask for, by
    /// [`Machine::in_reset`].
    pub fn with<R>(&self, f: impl FnOnce(&mut Owner<M>) -> R) -> R {
        self.owner.with(f)
    }

    /// Whether the function is being reset: its registers are not to be touched.
    pub fn in_reset(&self) -> bool {
        self.owner.in_reset()
    }
}

impl<M: Migrate> Migration for Machine<M> {
    fn features(&self) -> Features {
        let mut features = Features::STOP_COPY;
        if M::HAS_QUIESCE {
            features = features.and(Features::P2P);
        }
        if M::HAS_SAVE_HEAD {
            features = features.and(Features::PRE_COPY);
        }
        features
    }

    fn set_state(&self, core: &Core, target: State) -> Result<Option<ARef<File>>> {
        self.with(|owner| {
            let origin = owner.state();
            let mut file = None;
            while owner.state() != target {
                if self.in_reset() {
                    return Err(EBUSY);
                }
                let arc = core.next_arc(owner.state(), target)?;
                file = owner
                    .walk(core, arc)
                    .inspect_err(|_| owner.turn_back(core, origin))?;
            }
            Ok(file)
        })
    }

    fn state(&self) -> State {
        self.with(|owner| owner.state())
    }

    fn data_size(&self) -> Result<usize> {
        Ok(size_of::<ImageOf<M>>())
    }

    fn closed(&self) {
        self.with(|owner| owner.enter(Doing::Running));
    }

    fn reset_prepare(&self) {
        self.owner.reset_begin();
    }

    fn reset_done(&self) {
        self.owner.reset_end();
    }
}
