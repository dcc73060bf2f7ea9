// SPDX-License-Identifier: GPL-2.0

//! The state machine of a device whose state is one structure.

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

use super::{
    data::Data,
    migrate::{
        Failure,
        ImageOf,
        Migrate,
        RejectOf,
        VerifiedOf, //
    },
    session::{
        Expect,
        Resuming,
        Role,
        Saving,
        Session, //
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

/// A session that the user reads from.
type Source<M> = Arc<Readable<Saving<ImageOf<M>>>>;
/// A session that the user writes to.
type Sink<M> = Arc<Resuming<<M as Migrate>::Expected>>;

/// What a device is doing: one value for each state of the protocol, in the order of their numbers.
enum Doing<M: Migrate> {
    /// Only a reset leads out. The arc that ended here, and what went wrong.
    Failed(MigArc, Error),
    Stop,
    Running,
    StopCopy(Source<M>),
    Resuming(Sink<M>),
    RunningP2p,
    PreCopy(Source<M>),
    PreCopyP2p(Source<M>),
}

impl<M: Migrate> Doing<M> {
    fn state(&self) -> State {
        match self {
            Self::Failed(..) => State::Error,
            Self::Stop => State::Stop,
            Self::Running => State::Running,
            Self::StopCopy(_) => State::StopCopy,
            Self::Resuming(_) => State::Resuming,
            Self::RunningP2p => State::RunningP2p,
            Self::PreCopy(_) => State::PreCopy,
            Self::PreCopyP2p(_) => State::PreCopyP2p,
        }
    }

    /// The session that begins before the device stops, in the states in which it does.
    fn begun(&self) -> Result<&Source<M>> {
        match self {
            Self::PreCopy(session) | Self::PreCopyP2p(session) => Ok(session),
            _ => Err(EINVAL),
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

    /// In [`State::Error`], the arc that led there, and what went wrong.
    pub fn failed(&self) -> Option<(MigArc, Error)> {
        match self.doing {
            Doing::Failed(arc, error) => Some((arc, error)),
            _ => None,
        }
    }

    /// Why [`Expect::check`] has refused what came in since [`State::Resuming`] was entered, if it
    /// has.
    pub fn reject(&self) -> Option<RejectOf<M>> {
        match &self.doing {
            Doing::Resuming(session) => session.reject(),
            _ => None,
        }
    }

    /// Enters a state; the session of the one that is left is over.
    #[inline]
    fn enter(&mut self, next: Doing<M>) {
        let session = match core::mem::replace(&mut self.doing, next) {
            Doing::PreCopy(session) | Doing::PreCopyP2p(session) | Doing::StopCopy(session) => {
                Session::save(session)
            }
            Doing::Resuming(session) => Session::resume(session),
            Doing::Failed(..) | Doing::Stop | Doing::Running | Doing::RunningP2p => return,
        };
        self.driver.session_ended(session);
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
        self.driver.arc_begins(arc);
        match self.try_walk(core, arc) {
            Ok(file) => {
                self.driver.arc_walked(arc);
                Ok(file)
            }
            Err(failure) => Err(self.fail(arc, failure)),
        }
    }

    /// `arc` has failed.
    #[cold]
    fn fail(&mut self, arc: MigArc, failure: Failure) -> Error {
        self.driver.arc_failed(arc, failure);
        if let Failure::Broken(error) = failure {
            self.enter(Doing::Failed(arc, error));
        }
        failure.into()
    }

    fn try_walk(&mut self, core: &Core, arc: MigArc) -> Result<Option<ARef<File>>, Failure> {
        let driver = &mut self.driver;
        let (next, file) = match arc {
            MigArc::RunningToRunningP2p => {
                driver.quiesce(core)?;
                (Doing::RunningP2p, None)
            }
            MigArc::RunningP2pToRunning => {
                driver.unquiesce(core)?;
                (Doing::Running, None)
            }
            // The session goes on, so the state that it was in is not left by `enter()`.
            MigArc::PreCopyToPreCopyP2p => {
                driver.quiesce(core)?;
                self.doing = Doing::PreCopyP2p(self.doing.begun()?.clone());
                return Ok(None);
            }
            MigArc::PreCopyP2pToPreCopy => {
                driver.unquiesce(core)?;
                self.doing = Doing::PreCopy(self.doing.begun()?.clone());
                return Ok(None);
            }
            MigArc::PreCopyToStopCopy | MigArc::PreCopyP2pToStopCopy => {
                self.doing = self.stop_and_copy(core)?;
                return Ok(None);
            }
            MigArc::RunningToStop | MigArc::RunningP2pToStop => {
                driver.stop(core)?;
                (Doing::Stop, None)
            }
            MigArc::StopToRunning => {
                driver.start(core)?;
                (Doing::Running, None)
            }
            MigArc::StopToRunningP2p => {
                driver.start(core)?;
                (Doing::RunningP2p, None)
            }
            MigArc::RunningToPreCopy | MigArc::RunningP2pToPreCopyP2p => {
                let head = Data::head(driver.save_head(core)?, M::Expected::HEAD);
                let (session, file) = self.begin_saving(Saving::pre_copy(&head)?)?;
                let next = match arc {
                    MigArc::RunningToPreCopy => Doing::PreCopy(session),
                    _ => Doing::PreCopyP2p(session),
                };
                (next, Some(file))
            }
            MigArc::PreCopyToRunning => (Doing::Running, None),
            MigArc::PreCopyP2pToRunningP2p => (Doing::RunningP2p, None),
            MigArc::StopToStopCopy => {
                let data = driver.save(core, None)?;
                let (session, file) = self.begin_saving(Saving::stop_copy(&data)?)?;
                (Doing::StopCopy(session), Some(file))
            }
            MigArc::StopCopyToStop => (Doing::Stop, None),
            MigArc::StopToResuming => {
                let session = Resuming::new(driver.expected(core)?)?;
                let file = data_file::sink::<_, M::OwnerModule>(M::FILE, session.clone())?;
                driver.session_begun(Role::Resume);
                (Doing::Resuming(session), Some(file))
            }
            MigArc::ResumingToStop => {
                let Doing::Resuming(session) = &self.doing else {
                    return Err(EINVAL.into());
                };
                let state = session.verify().map_err(|reject| {
                    driver.session_refused(reject);
                    reject.into()
                })?;
                driver.load(core, state).map_err(Failure::Broken)?;
                (Doing::Stop, None)
            }
        };

        self.enter(next);
        Ok(file)
    }

    /// Makes the file of a new session.
    fn begin_saving(&mut self, session: Source<M>) -> Result<(Source<M>, ARef<File>)> {
        let file = data_file::source::<_, M::OwnerModule>(M::FILE, session.clone())?;
        self.driver.session_begun(Role::Save);
        Ok((session, file))
    }

    /// Stops the device and completes the session that has begun before.
    fn stop_and_copy(&mut self, core: &Core) -> Result<Doing<M>, Failure> {
        let session = self.doing.begun()?;
        let driver = &mut self.driver;
        driver.stop(core)?;
        let saved = driver
            .save(core, Some(&session.data()))
            .and_then(|data| session.go_on(&data));
        match saved {
            Ok(()) => Ok(Doing::StopCopy(session.clone())),
            // It was stopped in vain, and runs again.
            Err(error) => Err(match driver.start(core) {
                Ok(()) => Failure::Kept(error),
                Err(_) => Failure::Broken(error),
            }),
        }
    }

    /// Loads `state` into the stopped device, as at the end of [`State::Resuming`].
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device is not in [`State::Stop`]. Those of [`Migrate::load`]; the device
    /// is in [`State::Error`] then.
    pub fn load(&mut self, core: &Core, state: VerifiedOf<M>) -> Result {
        if self.state() != State::Stop {
            return Err(EINVAL);
        }
        let loaded = self.driver.load(core, state);
        loaded.map_err(|error| self.fail(MigArc::ResumingToStop, Failure::Broken(error)))
    }

    /// Leaves a P2P state that was entered on the way from `origin`, which is none, to where the
    /// device could not be brought: a user who does not know these states must not end in one.
    /// If that fails, too, he does.
    #[cold]
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

    /// Takes the device to `target`, arc by arc. `owner` is what [`Machine::with`] has given.
    ///
    /// Returns the data file of the state that was entered, if it has one.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the function is being reset, [`EINVAL`] if there is no way, and those of
    /// [`Owner::walk`]. The device is in the last state that it reached, except that it leaves a
    /// P2P state, unless it was in one before.
    pub fn go(
        &self,
        owner: &mut Owner<M>,
        core: &Core,
        target: State,
    ) -> Result<Option<ARef<File>>> {
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

    #[inline]
    fn set_state(&self, core: &Core, target: State) -> Result<Option<ARef<File>>> {
        self.with(|owner| self.go(owner, core, target))
    }

    fn state(&self) -> State {
        self.with(|owner| owner.state())
    }

    fn data_size(&self) -> Result<usize> {
        Ok(size_of::<ImageOf<M>>())
    }

    fn closed(&self) {
        self.with(|owner| {
            owner.enter(Doing::Running);
            owner.driver.closed();
        });
    }

    fn reset_prepare(&self) {
        self.owner.reset_begin();
    }

    fn reset_done(&self) {
        self.owner.reset_end();
    }
}
