// SPDX-License-Identifier: GPL-2.0

//! A VF that can migrate: one owner of everything that changes, and the arcs.

use crate::{
    arc::MigArc,
    debugfs::Outcome,
    engine::Engine,
    ffi::{
        PfQm,
        VfQm, //
    },
    hal::{
        vf_ctrl::VfCtrl,
        Hal, //
    },
    matching::{
        Expected,
        Verified, //
    },
    qm::{
        PauseError,
        PausedQm,
        Queues, //
    },
    record::{
        History,
        Origin,
        Record,
        Role, //
    },
    regs::pf,
    reset::{
        Guarded,
        Reset, //
    },
    session::{
        Data,
        ResumeSession,
        SaveSession, //
    },
    wire::{
        self,
        Image, //
    },
    LocalModule, //
};
use kernel::{
    fs::File,
    io::Io,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use vfio::{
    data_file,
    migration::State, //
};

/// Name of the data files, in `/proc/<pid>/fd`.
const FILE_NAME: &CStr = c"hisi_acc_vf_mig";

/// What does not change about a VF while it is bound.
#[derive(Clone, Copy)]
pub(crate) struct Hardware {
    pub(crate) engine: Engine,
    pub(crate) pf: PfQm,
    /// The VF's number in the PF's tables; the PF itself is 0.
    pub(crate) function: u32,
}

/// Why a device is in ERROR.
#[derive(Clone, Copy)]
pub(crate) struct Failed {
    /// The arc that ended there.
    pub(crate) arc: MigArc,
    /// What went wrong.
    pub(crate) error: Error,
}

/// What an open device is doing.
pub(crate) enum Doing {
    Running,
    /// As running: the accelerators are integrated endpoints without a path to one another, so
    /// there is nothing to stop.
    RunningP2p,
    PreCopy(Arc<SaveSession>),
    /// As pre-copy.
    PreCopyP2p(Arc<SaveSession>),
    /// The function is paused.
    Stop,
    /// The function is paused.
    StopCopy(Arc<SaveSession>),
    /// The function is paused.
    Resuming(Arc<ResumeSession>),
    /// Only a reset leads out.
    Failed(Failed),
}

impl Doing {
    /// The state of the protocol that this is.
    pub(crate) fn state(&self) -> State {
        match self {
            Self::Running => State::Running,
            Self::RunningP2p => State::RunningP2p,
            Self::PreCopy(_) => State::PreCopy,
            Self::PreCopyP2p(_) => State::PreCopyP2p,
            Self::Stop => State::Stop,
            Self::StopCopy(_) => State::StopCopy,
            Self::Resuming(_) => State::Resuming,
            Self::Failed(_) => State::Error,
        }
    }

    /// Ends this, and the session that goes with it.
    fn end(&mut self, next: Self, history: &mut History) {
        match core::mem::replace(self, next) {
            Self::PreCopy(session) | Self::PreCopyP2p(session) | Self::StopCopy(session) => {
                history.keep(Record {
                    id: session.id,
                    role: Role::Save,
                    origin: Origin::User,
                    data: session.close(),
                });
            }
            Self::Resuming(session) => {
                if let Some(reject) = session.reject() {
                    history.refused = Some((session.id, reject));
                }
                history.keep(Record {
                    id: session.id,
                    role: Role::Resume,
                    origin: Origin::User,
                    data: session.close(),
                });
            }
            Self::Running | Self::RunningP2p | Self::Stop | Self::Failed(_) => {}
        }
    }
}

/// A failed step, and where it leaves the device.
enum Failure {
    /// In the state it was in.
    Kept(Error),
    /// In no state that it could go on from.
    Broken(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Kept(e)
    }
}

/// An open device.
pub(crate) struct Open {
    pub(crate) vf: Pin<KBox<VfQm<VfCtrl>>>,
    pub(crate) queues: Queues,
    pub(crate) expected: Expected,
    pub(crate) doing: Doing,
}

impl Open {
    /// Stops the function.
    fn stop(&self, hw: &Hardware) -> Result<PausedQm<'_, VfCtrl>, Failure> {
        let paused = self.vf.pause(self.queues).map_err(|e| match e {
            PauseError::Runs(e) => Failure::Kept(e),
            PauseError::Unknown(e) => Failure::Broken(e),
        })?;
        match self.vf.settle(&hw.pf, hw.engine) {
            Ok(()) => Ok(paused),
            Err(e) => Err(undo(paused, e)),
        }
    }

    /// An image with nothing but the match data.
    fn header(&self, follows: u32) -> Image {
        let mut image = Image::from_bytes(&[0; wire::SIZE]);
        image.magic.set(wire::MAGIC_V2);
        image.queue_count.set(self.queues.count.into());
        image.device.set(self.expected.device.into());
        image.isolation.set(self.expected.isolation);
        image.queue_base.set(self.queues.base.into());
        image.vf_state.set(wire::READY);
        image.major.set(wire::MAJOR);
        image.minor.set(wire::MINOR);
        image.follows.set(follows);
        image
    }

    /// Data of a session that begins before the function stops. The rest is promised if there
    /// would be one now; a driver that the guest loads later still has it sent.
    fn match_data(&self) -> Data {
        let follows = if self.vf.driver_ready() {
            wire::FOLLOWS_STATE
        } else {
            wire::FOLLOWS_NOTHING
        };
        Data::new(self.header(follows), wire::MATCH_SIZE)
    }

    /// Data of a session that began with `begun`, now that the function has stopped: the same,
    /// and the rest if there is one or it was promised. A rest without queues is that of a
    /// function without driver.
    fn save_rest(&self, begun: &Data) -> Result<Data> {
        let mut image = begun.image();
        let saved = self.vf.save(&mut image)?;
        let all = saved || image.follows.get() == wire::FOLLOWS_STATE;
        Ok(Data::new(
            image,
            if all { wire::SIZE } else { wire::MATCH_SIZE },
        ))
    }

    /// Data of a stopped function; of one without driver the match data are all.
    fn save_all(&self) -> Result<Data> {
        let mut image = self.header(wire::FOLLOWS_STATE);
        if self.vf.save(&mut image)? {
            return Ok(Data::new(image, wire::SIZE));
        }
        image.vf_state.set(wire::NOT_READY);
        image.follows.set(wire::FOLLOWS_NOTHING);
        Ok(Data::new(image, wire::MATCH_SIZE))
    }

    /// Walks one arc. What the user gets for it, if anything, is a data file.
    fn walk(
        &mut self,
        hw: &Hardware,
        history: &mut History,
        arc: MigArc,
        info_v2: bool,
    ) -> Result<Option<ARef<File>>, Failure> {
        let (next, file) = match (arc, &self.doing) {
            (MigArc::RunningToRunningP2p | MigArc::PreCopyP2pToRunningP2p, _) => {
                (Doing::RunningP2p, None)
            }
            (MigArc::RunningP2pToRunning | MigArc::PreCopyToRunning, _) => (Doing::Running, None),
            (MigArc::RunningP2pToStop, _) => {
                self.stop(hw)?.commit();
                (Doing::Stop, None)
            }
            (MigArc::StopToRunningP2p, _) => {
                self.vf.start(self.queues)?;
                (Doing::RunningP2p, None)
            }
            (MigArc::RunningToPreCopy | MigArc::RunningP2pToPreCopyP2p, doing) => {
                let p2p = matches!(doing, Doing::RunningP2p);
                let session = SaveSession::pre_copy(history.next_id(), info_v2, self.match_data())?;
                let file = data_file::source::<_, LocalModule>(FILE_NAME, session.clone())?;
                let next = if p2p {
                    Doing::PreCopyP2p(session)
                } else {
                    Doing::PreCopy(session)
                };
                (next, Some(file))
            }
            // Where the session goes on, nothing ends.
            (MigArc::PreCopyToPreCopyP2p, Doing::PreCopy(session)) => {
                self.doing = Doing::PreCopyP2p(session.clone());
                return Ok(None);
            }
            (MigArc::PreCopyP2pToPreCopy, Doing::PreCopyP2p(session)) => {
                self.doing = Doing::PreCopy(session.clone());
                return Ok(None);
            }
            (MigArc::PreCopyP2pToStopCopy, Doing::PreCopyP2p(session)) => {
                let paused = self.stop(hw)?;
                match self.save_rest(&session.data()) {
                    Ok(data) => session.complete(data),
                    Err(e) => return Err(undo(paused, e)),
                }
                paused.commit();
                self.doing = Doing::StopCopy(session.clone());
                return Ok(None);
            }
            (MigArc::StopToStopCopy, _) => {
                let data = self.save_all()?;
                let session = SaveSession::stop_copy(history.next_id(), data)?;
                let file = data_file::source::<_, LocalModule>(FILE_NAME, session.clone())?;
                (Doing::StopCopy(session), Some(file))
            }
            (MigArc::StopCopyToStop, _) => (Doing::Stop, None),
            (MigArc::StopToResuming, _) => {
                let session = ResumeSession::new(history.next_id(), self.expected)?;
                let file = data_file::sink::<_, LocalModule>(FILE_NAME, session.clone())?;
                (Doing::Resuming(session), Some(file))
            }
            (MigArc::ResumingToStop, Doing::Resuming(session)) => {
                let verified = session.verify().map_err(|reject| {
                    history.refused = Some((session.id, reject));
                    Error::from(reject)
                })?;
                self.vf.load(&verified).map_err(Failure::Broken)?;
                (Doing::Stop, None)
            }
            (
                MigArc::PreCopyToPreCopyP2p
                | MigArc::PreCopyP2pToPreCopy
                | MigArc::PreCopyP2pToStopCopy
                | MigArc::ResumingToStop,
                _,
            ) => return Err(EINVAL.into()),
        };

        self.doing.end(next, history);
        Ok(file)
    }
}

/// Lets a function that was paused in vain run again.
fn undo<H: Hal>(paused: PausedQm<'_, H>, why: Error) -> Failure {
    match paused.resume() {
        Ok(()) => Failure::Kept(why),
        Err(_) => Failure::Broken(why),
    }
}

/// All that changes about a VF.
pub(crate) struct Owner {
    /// The device, while it is open.
    pub(crate) open: Option<Open>,
    /// Sessions that are over.
    pub(crate) history: History,
    /// How the last command in debugfs went.
    pub(crate) outcome: Option<Outcome>,
}

impl Owner {
    /// The state that the device is in, while it is open.
    pub(crate) fn state(&self) -> Option<State> {
        self.open.as_ref().map(|open| open.doing.state())
    }

    /// Walks `arc`. A failure leaves the device in its state, or in ERROR with the reason.
    pub(crate) fn walk(
        &mut self,
        hw: &Hardware,
        arc: MigArc,
        info_v2: bool,
    ) -> Result<Option<ARef<File>>> {
        let open = self.open.as_mut().ok_or(ENODEV)?;
        match open.walk(hw, &mut self.history, arc, info_v2) {
            Ok(file) => Ok(file),
            Err(Failure::Kept(error)) => Err(error),
            Err(Failure::Broken(error)) => {
                self.fail(arc, error);
                Err(error)
            }
        }
    }

    /// Leaves a P2P state that was entered on the way from `origin` to where the device could
    /// not be brought.
    pub(crate) fn turn_back(&mut self, hw: &Hardware, origin: State) {
        let arc = match (origin, self.state()) {
            (State::Running, Some(State::RunningP2p)) => MigArc::RunningP2pToRunning,
            (State::PreCopy, Some(State::PreCopyP2p)) => MigArc::PreCopyP2pToPreCopy,
            _ => return,
        };
        // Nothing is asked of the hardware, so it cannot fail.
        let _ = self.walk(hw, arc, false);
    }

    fn fail(&mut self, arc: MigArc, error: Error) {
        if let Some(open) = &mut self.open {
            let failed = Doing::Failed(Failed { arc, error });
            open.doing.end(failed, &mut self.history);
        }
    }

    /// Saves a stopped function for debugfs.
    pub(crate) fn snapshot(&mut self) -> Result {
        let open = self.open.as_ref().ok_or(ENODEV)?;
        let data = open.save_all()?;
        let id = self.history.next_id();
        self.history.keep(Record {
            id,
            role: Role::Save,
            origin: Origin::Debugfs,
            data,
        });
        Ok(())
    }

    /// Parses what was kept of the last session, to load it back.
    ///
    /// # Errors
    ///
    /// [`ENODATA`] if there was none, [`EINVAL`] if it cannot be loaded.
    pub(crate) fn last_verified(&self) -> Result<Verified> {
        let open = self.open.as_ref().ok_or(ENODEV)?;
        let record = self.history.last.as_ref().ok_or(ENODATA)?;
        Ok(record.data.verify(&open.expected)?)
    }

    /// Loads a stopped function for debugfs.
    pub(crate) fn load(&mut self, verified: &Verified) -> Result {
        let open = self.open.as_ref().ok_or(ENODEV)?;
        open.vf.load(verified).inspect_err(|e| {
            self.fail(MigArc::ResumingToStop, *e);
        })
    }
}

impl Reset for Owner {
    fn reset(&mut self) {
        if let Some(open) = &mut self.open {
            open.doing.end(Doing::Running, &mut self.history);
        }
    }
}

/// A VF that can migrate.
#[pin_data]
pub(crate) struct Mig {
    pub(crate) hw: Hardware,
    #[pin]
    pub(crate) owner: Guarded<Owner>,
}

impl Mig {
    pub(crate) fn new(hw: Hardware) -> impl PinInit<Self> {
        pin_init!(Self {
            hw,
            owner <- Guarded::new(Owner {
                open: None,
                history: History::EMPTY,
                outcome: None,
            }),
        })
    }

    /// The device's first user came.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the VF's registers cannot be mapped, and those of [`VfQm::queues`].
    pub(crate) fn open(&self, pdev: &pci::Device) -> Result {
        let vf = KBox::pin_init(VfQm::new(pdev, &self.hw.pf, VfCtrl::new(pdev)?), GFP_KERNEL)?;
        let queues = vf.queues()?;
        let expected = Expected {
            device: self.hw.engine.device_id(),
            queue_count: queues.count,
            isolation: self.hw.pf.io().read(pf::QUE_ISO_CFG).into_raw(),
        };

        self.owner.with(|owner| {
            owner.history.forget();
            owner.open = Some(Open {
                vf,
                queues,
                expected,
                doing: Doing::Running,
            });
        });
        Ok(())
    }

    /// The device's last user went.
    pub(crate) fn close(&self) {
        self.owner.with(|owner| {
            owner.reset();
            owner.open = None;
        });
    }

    /// The state the device is in; a device that nobody has open would run.
    pub(crate) fn state(&self) -> State {
        self.owner
            .with(|owner| owner.state().unwrap_or(State::Running))
    }
}
