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
        Direction,
        Resuming,
        Saving,
        Session,
        StreamFormat, //
    },
    Features,
    MigArc,
    Migration,
    State, //
};
use crate::{
    data_file::{
        self,
        Readable,
        Writable, //
    },
    device::CoreDevice,
    dma_logging::{
        CoarseLog,
        DmaLogging,
        IovaRange, //
    },
    reset::{
        ResetAware,
        ResetMutex, //
    }, //
};
use kernel::{
    device::Bound,
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    time::Delta, //
};

/// How long setting a state waits for the end of a reset. The reset can itself wait for the reset
/// of another function.
const RESET_PATIENCE: Delta = Delta::from_secs(300);

/// Maximum size of an image of a [`StateMachine`] in bytes, which its documentation has as well. It
/// is limited because images are passed on the stack.
const IMAGE_MAX: usize = 1024;

/// A session that the user reads from.
type SavingFile<M> = Arc<Readable<Saving<<M as Migrate>::Format>>>;
/// A session that the user writes to.
type ResumingFile<M> = Arc<Writable<Resuming<<M as Migrate>::Format>>>;

/// The state of a device with its data: one variant for each state of the protocol, in the order of
/// their numbers.
enum Phase<M: Migrate> {
    /// Only a reset leaves this state. Holds the arc that failed, and the error.
    Failed(MigArc, Error),
    Stop,
    Running,
    StopCopy(SavingFile<M>),
    Resuming(ResumingFile<M>),
    RunningP2p,
    PreCopy(SavingFile<M>),
    PreCopyP2p(SavingFile<M>),
}

impl<M: Migrate> Phase<M> {
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

    /// Returns whether the device does not write to memory in this state.
    fn stands_still(&self) -> bool {
        matches!(self, Self::Stop | Self::StopCopy(_) | Self::Resuming(_))
    }

    /// Returns the session that has begun before the device stops, in the pre-copy states.
    fn pre_copy_session(&self) -> Result<&SavingFile<M>, Failure> {
        match self {
            Self::PreCopy(session) | Self::PreCopyP2p(session) => Ok(session),
            _ => Err(Failure::Recoverable(EINVAL)),
        }
    }
}

/// The data protected by the lock of a [`StateMachine`].
struct Inner<M: Migrate> {
    driver: M,
    phase: Phase<M>,
    dma_log: CoarseLog,
}

/// The outcome of a walk.
enum Walk {
    /// The target was reached. Holds the data file of the state, if it has one.
    Reached(Option<ARef<File>>),
    /// A reset is expected. The walk can continue after it has ended.
    InReset,
}

/// Exclusive access to a device that can migrate, see [`StateMachine::with`].
pub struct MachineGuard<'a, M: Migrate> {
    machine: &'a StateMachine<M>,
    inner: &'a mut Inner<M>,
}

impl<M: Migrate> Inner<M> {
    /// Enters a state, and ends the session of the previous state.
    #[inline]
    fn enter(&mut self, next: Phase<M>) {
        let session = match core::mem::replace(&mut self.phase, next) {
            Phase::PreCopy(session) | Phase::PreCopyP2p(session) | Phase::StopCopy(session) => {
                Session::save(session)
            }
            Phase::Resuming(session) => Session::resume(session),
            Phase::Failed(..) | Phase::Stop | Phase::Running | Phase::RunningP2p => return,
        };
        self.driver.session_ended(session);
    }

    /// Called when `arc` has failed.
    #[cold]
    fn fail(&mut self, core: &CoreDevice<Bound>, arc: MigArc, failure: Failure) -> Error {
        self.driver.arc_failed(core, arc, failure);
        if let Failure::Fatal(error) = failure {
            self.enter(Phase::Failed(arc, error));
        }
        failure.into()
    }
}

impl<M: Migrate> ResetAware for Inner<M> {
    fn reset(&mut self) {
        self.enter(Phase::Running);
        self.driver.reset();
    }
}

impl<M: Migrate> MachineGuard<'_, M> {
    /// Returns the driver's part of the device.
    pub fn driver(&self) -> &M {
        &self.inner.driver
    }

    /// Returns the driver's part of the device, to change it.
    pub fn driver_mut(&mut self) -> &mut M {
        &mut self.inner.driver
    }

    /// Returns the state that the device is in.
    pub fn state(&self) -> State {
        self.inner.phase.state()
    }

    /// In [`State::Error`], returns the arc that led there, and the error.
    pub fn failed(&self) -> Option<(MigArc, Error)> {
        match self.inner.phase {
            Phase::Failed(arc, error) => Some((arc, error)),
            _ => None,
        }
    }

    /// Returns why [`StreamFormat::check`] has refused what was written since [`State::Resuming`]
    /// was entered, if it has.
    pub fn reject(&self) -> Option<RejectOf<M>> {
        match &self.inner.phase {
            Phase::Resuming(session) => session.reject(),
            _ => None,
        }
    }

    /// Brings the device to `target`, arc by arc.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the function is being reset, or was when an arc failed. [`EINVAL`] if there is
    /// no path. Errors of the driver are passed on. The device is then in the last state that it
    /// reached, except that it returns from a P2P state to RUNNING or PRE_COPY if the walk has
    /// passed that state and the target is not a P2P state.
    pub fn go_to_state(&mut self, core: &CoreDevice<Bound>, target: State) -> Result {
        match self.walk_to_state(core, target)? {
            Walk::Reached(_) => Ok(()),
            Walk::InReset => Err(EBUSY),
        }
    }

    /// Like [`MachineGuard::go_to_state`], but a walk that is interrupted by a reset does not fail.
    fn walk_to_state(&mut self, core: &CoreDevice<Bound>, target: State) -> Result<Walk> {
        // The last state on the walk in which the device ran without restriction.
        let mut unrestricted = None;
        let mut file = None;
        loop {
            // A reset that has ended in the meantime puts the device into RUNNING, and the walk
            // continues from there.
            self.machine.inner.apply_reset(self.inner);
            if matches!(self.state(), State::Running | State::PreCopy) {
                unrestricted = Some(self.state());
            }
            if self.state() == target {
                return Ok(Walk::Reached(file));
            }
            if self.machine.in_reset() {
                return Ok(Walk::InReset);
            }
            let walked = core
                .next_arc(self.state(), target)
                .and_then(|arc| self.walk_arc(core, arc));
            match walked {
                Ok(made) => file = made,
                // A failure that is caused or undone by a reset is not an error of the device.
                Err(_) if self.machine.inner.reset_expected() => return Ok(Walk::InReset),
                Err(_) if self.machine.inner.apply_reset(self.inner) => {}
                Err(e) => {
                    self.leave_p2p_after_failure(core, unrestricted, target);
                    return Err(e);
                }
            }
        }
    }

    /// Walks `arc`. On failure the device stays in its state, or is in [`State::Error`].
    ///
    /// Returns the data file, if the arc creates one.
    fn walk_arc(&mut self, core: &CoreDevice<Bound>, arc: MigArc) -> Result<Option<ARef<File>>> {
        self.inner.dma_log.device_ran();
        self.inner.driver.arc_begins(arc);
        match self.try_walk_arc(core, arc) {
            Ok(file) => {
                self.inner.driver.arc_walked(arc);
                Ok(file)
            }
            Err(failure) => Err(self.inner.fail(core, arc, failure)),
        }
    }

    fn try_walk_arc(
        &mut self,
        core: &CoreDevice<Bound>,
        arc: MigArc,
    ) -> Result<Option<ARef<File>>, Failure> {
        let Inner { driver, phase, .. } = &mut *self.inner;
        let (next, file) = match arc {
            MigArc::RunningToRunningP2p => {
                driver.quiesce(core)?;
                (Phase::RunningP2p, None)
            }
            MigArc::RunningP2pToRunning => {
                driver.unquiesce(core)?;
                (Phase::Running, None)
            }
            // The session continues, so `enter()`, which would end it, is not used.
            MigArc::PreCopyToPreCopyP2p => {
                driver.quiesce(core)?;
                *phase = Phase::PreCopyP2p(phase.pre_copy_session()?.clone());
                return Ok(None);
            }
            MigArc::PreCopyP2pToPreCopy => {
                driver.unquiesce(core)?;
                *phase = Phase::PreCopy(phase.pre_copy_session()?.clone());
                return Ok(None);
            }
            MigArc::PreCopyToStopCopy | MigArc::PreCopyP2pToStopCopy => {
                self.inner.phase = self.stop_and_copy(core)?;
                return Ok(None);
            }
            MigArc::RunningToStop | MigArc::RunningP2pToStop => {
                driver.stop(core)?;
                (Phase::Stop, None)
            }
            MigArc::StopToRunning => {
                driver.start(core)?;
                (Phase::Running, None)
            }
            MigArc::StopToRunningP2p => {
                driver.start(core)?;
                (Phase::RunningP2p, None)
            }
            MigArc::RunningToPreCopy | MigArc::RunningP2pToPreCopyP2p => {
                let head = driver.save_head(core).map_err(Failure::Recoverable)?;
                let head = Data::head(head, M::Format::HEAD);
                let (session, file) = Self::begin_saving(driver, Saving::pre_copy(&head))?;
                let next = match arc {
                    MigArc::RunningToPreCopy => Phase::PreCopy(session),
                    _ => Phase::PreCopyP2p(session),
                };
                (next, Some(file))
            }
            MigArc::PreCopyToRunning => (Phase::Running, None),
            MigArc::PreCopyP2pToRunningP2p => (Phase::RunningP2p, None),
            MigArc::StopToStopCopy => {
                let data = driver.save(core, None).map_err(Failure::Recoverable)?;
                let (session, file) = Self::begin_saving(driver, Saving::stop_copy(&data))?;
                (Phase::StopCopy(session), Some(file))
            }
            MigArc::StopCopyToStop => (Phase::Stop, None),
            MigArc::StopToResuming => {
                let (session, file) =
                    Self::begin_resuming(driver, core).map_err(Failure::Recoverable)?;
                (Phase::Resuming(session), Some(file))
            }
            MigArc::ResumingToStop => {
                let Phase::Resuming(session) = phase else {
                    return Err(Failure::Recoverable(EINVAL));
                };
                let state = session.verify().map_err(|reject| {
                    driver.session_refused(reject);
                    Failure::Recoverable(reject.into())
                })?;
                driver.load(core, state).map_err(Failure::Fatal)?;
                (Phase::Stop, None)
            }
        };

        self.inner.enter(next);
        Ok(file)
    }

    /// Creates the file of a new session.
    fn begin_saving(
        driver: &mut M,
        session: Result<SavingFile<M>>,
    ) -> Result<(SavingFile<M>, ARef<File>), Failure> {
        let session = session.map_err(Failure::Recoverable)?;
        let file =
            data_file::saving_file(M::FILE, session.clone()).map_err(Failure::Recoverable)?;
        driver.session_begun(Direction::Save);
        Ok((session, file))
    }

    /// Creates the session and the file of [`State::Resuming`].
    fn begin_resuming(
        driver: &mut M,
        core: &CoreDevice<Bound>,
    ) -> Result<(ResumingFile<M>, ARef<File>)> {
        let session = Resuming::new(driver.stream_format(core)?)?;
        let file = data_file::resuming_file(M::FILE, session.clone())?;
        driver.session_begun(Direction::Resume);
        Ok((session, file))
    }

    /// Stops the device and completes the session that began in pre-copy.
    fn stop_and_copy(&mut self, core: &CoreDevice<Bound>) -> Result<Phase<M>, Failure> {
        let Inner { driver, phase, .. } = &mut *self.inner;
        let session = phase.pre_copy_session()?;
        driver.stop(core)?;
        let saved = if self.machine.in_reset() {
            Err(EBUSY)
        } else {
            driver
                .save(core, Some(&session.data()))
                .and_then(|data| session.complete(&data))
        };
        let Err(error) = saved else {
            return Ok(Phase::StopCopy(session.clone()));
        };
        // The device must not stay stopped in a state in which it should run. A reset starts it in
        // any case.
        if !self.machine.in_reset() && driver.start(core).is_ok() {
            Err(Failure::Recoverable(error))
        } else {
            Err(Failure::Fatal(error))
        }
    }

    /// Loads `state` into the stopped device, as at the end of [`State::Resuming`].
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device is not in [`State::Stop`], [`EBUSY`] if the function is being
    /// reset. Those of [`Migrate::load`]; the device is in [`State::Error`] then.
    pub fn load_verified(&mut self, core: &CoreDevice<Bound>, state: VerifiedOf<M>) -> Result {
        self.machine.inner.apply_reset(self.inner);
        if self.state() != State::Stop {
            return Err(EINVAL);
        }
        if self.machine.in_reset() {
            return Err(EBUSY);
        }
        self.inner.dma_log.device_ran();
        let loaded = self.inner.driver.load(core, state);
        loaded.map_err(|error| {
            self.inner
                .fail(core, MigArc::ResumingToStop, Failure::Fatal(error))
        })
    }

    /// After a walk to `target` has failed in a P2P state, returns to the state `unrestricted` that
    /// the walk has passed before, so that a user that does not know the P2P states does not find
    /// the device in one.
    ///
    /// The uAPI allows only the original state or one on the path to the target, so the device
    /// stays in the P2P state if the walk has not passed such a state.
    #[cold]
    fn leave_p2p_after_failure(
        &mut self,
        core: &CoreDevice<Bound>,
        unrestricted: Option<State>,
        target: State,
    ) {
        if self.machine.in_reset() || matches!(target, State::RunningP2p | State::PreCopyP2p) {
            return;
        }
        let arc = match (unrestricted, self.state()) {
            (Some(State::Running), State::RunningP2p) => MigArc::RunningP2pToRunning,
            (Some(State::PreCopy), State::PreCopyP2p) => MigArc::PreCopyP2pToPreCopy,
            _ => return,
        };
        // If this fails as well, the device stays where it is.
        let _ = self.walk_arc(core, arc);
    }
}

/// The migration of a device whose state is one structure of at most 1 KiB.
///
/// It owns all mutable data of the device, behind a lock that resets do not wait for. The session
/// of a data file ends with the state that it belongs to. If a transition fails, the device is in
/// its original state, in a state on the path from which it can continue, or in [`State::Error`].
#[pin_data]
pub struct StateMachine<M: Migrate> {
    #[pin]
    inner: ResetMutex<Inner<M>>,
    logs_dma: bool,
}

impl<M: Migrate> StateMachine<M> {
    /// Creates the state machine of a device that runs and has no user yet. It does not offer DMA
    /// logging.
    pub fn new(driver: M) -> impl PinInit<Self> {
        Self::with_dma_logging(driver, false)
    }

    /// Like [`StateMachine::new`]. If `logs_dma` is true, the device offers DMA logging. Then each
    /// page of the logged ranges is reported as written unless the device was in STOP, STOP_COPY or
    /// RESUMING since the previous report.
    pub fn with_dma_logging(driver: M, logs_dma: bool) -> impl PinInit<Self> {
        const {
            assert!(
                size_of::<ImageOf<M>>() <= IMAGE_MAX,
                "the image is too long for the stack"
            );
            assert!(
                M::Format::HEAD <= size_of::<ImageOf<M>>(),
                "the head is longer than the image"
            );
            assert!(
                M::HAS_QUIESCE == M::HAS_UNQUIESCE,
                "quiesce and unquiesce come together"
            );
        };

        pin_init!(Self {
            inner <- ResetMutex::new(Inner {
                driver,
                phase: Phase::Running,
                dma_log: CoarseLog::default(),
            }),
            logs_dma,
        })
    }

    /// Runs `f` with exclusive access to the device. Only a reset can happen in the meantime, see
    /// [`StateMachine::in_reset`].
    pub fn with<R>(&self, f: impl FnOnce(&mut MachineGuard<'_, M>) -> R) -> R {
        self.inner.with(|inner| {
            f(&mut MachineGuard {
                machine: self,
                inner,
            })
        })
    }

    /// Returns whether the function is being reset: its registers must not be accessed.
    pub fn in_reset(&self) -> bool {
        self.inner.in_reset()
    }
}

impl<M: Migrate> Migration for StateMachine<M> {
    fn features(&self) -> Features {
        let mut features = Features::STOP_COPY;
        if M::HAS_QUIESCE {
            features |= Features::P2P;
        }
        if M::HAS_SAVE_HEAD {
            features |= Features::PRE_COPY;
        }
        features
    }

    /// Waits for the end of a reset instead of failing because of it: after an error QEMU requests
    /// a reset, which the kernel refuses while another one is in progress, and QEMU then terminates
    /// the VM.
    fn set_state(&self, core: &CoreDevice<Bound>, target: State) -> Result<Option<ARef<File>>> {
        loop {
            let waited = match self.with(|guard| guard.walk_to_state(core, target)) {
                // The lock is not held here, because a reader of the state waits for it as well.
                Ok(Walk::InReset) => self.inner.wait_for_reset(RESET_PATIENCE),
                Ok(Walk::Reached(file)) => {
                    self.inner.end_turn();
                    return Ok(file);
                }
                Err(e) => Err(e),
            };
            waited.inspect_err(|_| self.inner.end_turn())?;
        }
    }

    fn state(&self) -> State {
        self.with(|guard| guard.state())
    }

    fn data_size(&self, _core: &CoreDevice<Bound>) -> Result<usize> {
        Ok(size_of::<ImageOf<M>>())
    }

    fn dma_logging(&self) -> Option<&dyn DmaLogging> {
        self.logs_dma.then_some(self as &dyn DmaLogging)
    }

    fn closed(&self, core: &CoreDevice<Bound>) {
        self.with(|guard| {
            guard.inner.dma_log.stop();
            guard.inner.enter(Phase::Running);
            guard.inner.driver.closed(core);
        });
    }

    fn reset_announced(&self) {
        self.inner.reset_announced();
    }

    fn reset_prepare(&self) {
        self.inner.reset_begin();
    }

    fn reset_done(&self) {
        self.inner.reset_end();
    }
}

impl<M: Migrate> DmaLogging for StateMachine<M> {
    /// Any page size will do, because whole ranges are reported.
    fn start(
        &self,
        _core: &CoreDevice<Bound>,
        ranges: KVec<IovaRange>,
        page_size: u64,
    ) -> Result<u64> {
        self.with(|guard| guard.inner.dma_log.start(ranges))?;
        Ok(if page_size.is_power_of_two() {
            page_size
        } else {
            // The smallest one that the core accepts in a report.
            4096
        })
    }

    fn stop(&self, _core: &CoreDevice<Bound>) -> Result {
        self.with(|guard| guard.inner.dma_log.stop());
        Ok(())
    }

    fn report(
        &self,
        _core: &CoreDevice<Bound>,
        range: IovaRange,
        dirty: &mut dyn FnMut(IovaRange),
    ) -> Result {
        self.with(|guard| guard.inner.dma_log.check(range))?;
        let mut rest = Some(range);
        while let Some(range) = rest {
            // The lock is released before each part is reported, which writes to user memory.
            let part = self.with(|guard| {
                let stands_still = guard.inner.phase.stands_still();
                guard.inner.dma_log.take_dirty(range, stands_still)
            });
            let Some(part) = part else {
                break;
            };
            dirty(part);
            rest = range.after(part);
        }
        Ok(())
    }
}
