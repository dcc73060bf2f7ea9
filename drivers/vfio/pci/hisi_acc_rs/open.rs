// SPDX-License-Identifier: GPL-2.0

//! An open device: its data, and the arcs that it walks.

use crate::{
    doing::{
        refuse,
        Doing, //
    },
    ffi::VfQm,
    hal::Mode,
    history::History,
    matching::{
        Expected,
        Verified, //
    },
    mig::Hardware,
    qm::{
        PauseError,
        PausedQm,
        Queues, //
    },
    record::{
        Origin,
        Role, //
    },
    regs::pf,
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
    sync::aref::ARef, //
};
use vfio::{
    data_file,
    migration::MigArc, //
};

/// Name of the data files, in `/proc/<pid>/fd`.
const FILE_NAME: &CStr = c"hisi_acc_vf_mig";

/// A failed step, and where it leaves the device.
pub(crate) enum Failure {
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

/// What a device is, as it has told itself.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) queues: Queues,
    pub(crate) expected: Expected,
}

impl Identity {
    /// Asks the function `vf`, whose mailbox must be nobody else's.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::queues`].
    fn ask(vf: &VfQm, hw: &Hardware) -> Result<Self> {
        let queues = vf.queues()?;
        Ok(Self {
            queues,
            expected: Expected {
                device: hw.engine.device_id(),
                queue_count: queues.count,
                isolation: hw.pf.io().read(pf::QUE_ISO_CFG).into_raw(),
            },
        })
    }
}

/// An open device.
pub(crate) struct Open {
    pub(crate) vf: Pin<KBox<VfQm>>,
    pub(crate) identity: Identity,
    pub(crate) doing: Doing,
    /// Whether the guest's driver has set the function up, if that is known since it was stopped.
    ready: Option<bool>,
}

impl Open {
    /// Reaches for the registers of the VF `pdev` and, unless it is known, asks it what it is. Its
    /// mailbox must be nobody else's.
    ///
    /// The answer is good for as long as the VF is bound: its queues are given to it before it
    /// appears, and it disappears before they are taken.
    ///
    /// # Errors
    ///
    /// Those of [`Mode::connect`] and of [`VfQm::queues`].
    pub(crate) fn new(
        pdev: &pci::Device,
        hw: &Hardware,
        mode: Mode,
        known: Option<Identity>,
    ) -> Result<Self> {
        let hal = mode.connect(pdev, &hw.pf, hw.function)?;
        let vf = KBox::pin_init(VfQm::new(pdev, &hw.pf, hal), GFP_KERNEL)?;
        let identity = match known {
            Some(identity) => identity,
            None => Identity::ask(&vf, hw)?,
        };
        Ok(Self {
            vf,
            identity,
            doing: Doing::RUNNING,
            ready: None,
        })
    }

    /// Stops the function.
    fn stop(&self, hw: &Hardware) -> Result<PausedQm<'_>, Failure> {
        let paused = self.vf.pause(self.identity.queues).map_err(|e| match e {
            PauseError::Runs(e) => Failure::Kept(e),
            PauseError::Unknown(e) => Failure::Broken(e),
        })?;
        match self.vf.settle(&hw.pf, hw.engine) {
            Ok(()) => Ok(paused),
            Err(e) => Err(undo(paused, e)),
        }
    }

    /// Starts a stopped function, if the guest's driver has set it up.
    fn start(&self) -> Result {
        if self.ready.unwrap_or_else(|| self.vf.driver_ready()) {
            self.vf.start(self.identity.queues)?;
        }
        Ok(())
    }

    /// Loads a stopped function.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::load`]; the function is in no state that it could go on from.
    pub(crate) fn load(&mut self, state: &Verified) -> Result {
        self.vf.load(state)?;
        self.ready = Some(matches!(state, Verified::Driver(_)));
        Ok(())
    }

    /// An image with nothing but the match data.
    fn header(&self, follows: u32) -> Image {
        let Identity { queues, expected } = self.identity;
        let mut image = Image::from_bytes(&[0; wire::SIZE]);
        image.magic.set(wire::MAGIC_V2);
        image.queue_count.set(queues.count.into());
        image.device.set(expected.device.into());
        image.isolation.set(expected.isolation);
        image.queue_base.set(queues.base.into());
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

    /// Stops the function and completes the session that has begun before: with the rest of the
    /// data if there is one or it was promised. A rest without queues is that of a function
    /// without driver.
    fn stop_and_copy(&mut self, hw: &Hardware) -> Result<Doing, Failure> {
        let Doing::PreCopy { session, .. } = &self.doing else {
            return Err(EINVAL.into());
        };
        let session = session.clone();
        let paused = self.stop(hw)?;

        let mut image = session.data().image();
        let ready = match self.vf.save(&mut image) {
            Ok(ready) => ready,
            Err(e) => return Err(undo(paused, e)),
        };
        let all = ready || image.follows.get() == wire::FOLLOWS_STATE;
        let len = if all { wire::SIZE } else { wire::MATCH_SIZE };
        session.complete(&Data::new(image, len));
        paused.commit();
        self.ready = Some(ready);
        Ok(Doing::StopCopy(session))
    }

    /// Data of a stopped function; of one without driver the match data are all.
    pub(crate) fn save_all(&mut self) -> Result<Data> {
        let mut image = self.header(wire::FOLLOWS_STATE);
        let ready = self.vf.save(&mut image)?;
        self.ready = Some(ready);
        Ok(if ready {
            Data::new(image, wire::SIZE)
        } else {
            self.without_driver()
        })
    }

    /// Data of a function without driver.
    fn without_driver(&self) -> Data {
        let mut image = self.header(wire::FOLLOWS_NOTHING);
        image.vf_state.set(wire::NOT_READY);
        Data::new(image, wire::MATCH_SIZE)
    }

    /// What the function's data would be now, but for the tables of its queues: their addresses
    /// cannot be had without a command.
    pub(crate) fn peek(&self) -> Data {
        if !self.vf.driver_ready() {
            return self.without_driver();
        }
        let mut image = self.header(wire::FOLLOWS_STATE);
        self.vf.read_registers(&mut image);
        image.ifc_int_set.set(self.vf.messages_to_pf());
        Data::new(image, wire::SIZE)
    }

    /// Walks one arc. What the user gets for it, if anything, is a data file.
    pub(crate) fn walk(
        &mut self,
        hw: &Hardware,
        history: &mut History,
        arc: MigArc,
    ) -> Result<Option<ARef<File>>, Failure> {
        let (next, file) = match arc {
            // Where what goes on goes on, nothing ends.
            MigArc::RunningToRunningP2p | MigArc::PreCopyToPreCopyP2p => {
                self.doing.set_p2p(true);
                return Ok(None);
            }
            MigArc::RunningP2pToRunning | MigArc::PreCopyP2pToPreCopy => {
                self.doing.set_p2p(false);
                return Ok(None);
            }
            MigArc::PreCopyP2pToStopCopy => {
                self.doing = self.stop_and_copy(hw)?;
                return Ok(None);
            }
            MigArc::PreCopyToRunning => (Doing::RUNNING, None),
            MigArc::PreCopyP2pToRunningP2p => (Doing::Running { p2p: true }, None),
            MigArc::RunningP2pToStop => {
                self.stop(hw)?.commit();
                self.ready = None;
                (Doing::Stop, None)
            }
            MigArc::StopToRunningP2p => {
                self.start()?;
                (Doing::Running { p2p: true }, None)
            }
            MigArc::RunningToPreCopy | MigArc::RunningP2pToPreCopyP2p => {
                let data = self.match_data();
                let session = SaveSession::pre_copy(history.next_id(), &data)?;
                let file = data_file::source::<_, LocalModule>(FILE_NAME, session.clone())?;
                history.begin(session.id, Role::Save, Origin::User);
                let p2p = arc == MigArc::RunningP2pToPreCopyP2p;
                (Doing::PreCopy { session, p2p }, Some(file))
            }
            MigArc::StopToStopCopy => {
                let data = self.save_all()?;
                let session = SaveSession::stop_copy(history.next_id(), &data)?;
                let file = data_file::source::<_, LocalModule>(FILE_NAME, session.clone())?;
                history.begin(session.id, Role::Save, Origin::User);
                (Doing::StopCopy(session), Some(file))
            }
            MigArc::StopCopyToStop => (Doing::Stop, None),
            MigArc::StopToResuming => {
                let session = ResumeSession::new(history.next_id(), self.identity.expected)?;
                let file = data_file::sink::<_, LocalModule>(FILE_NAME, session.clone())?;
                history.begin(session.id, Role::Resume, Origin::User);
                (Doing::Resuming(session), Some(file))
            }
            MigArc::ResumingToStop => {
                let Doing::Resuming(session) = &self.doing else {
                    return Err(EINVAL.into());
                };
                let verified = session.verify().map_err(|reject| {
                    refuse(history, self.vf.pdev(), session.id, reject);
                    Error::from(reject)
                })?;
                self.load(&verified).map_err(Failure::Broken)?;
                (Doing::Stop, None)
            }
            // Only without the P2P states.
            MigArc::RunningToStop | MigArc::StopToRunning | MigArc::PreCopyToStopCopy => {
                return Err(EINVAL.into());
            }
        };

        self.doing.end(next, history, self.vf.pdev());
        Ok(file)
    }
}

/// Lets a function that was paused in vain run again.
fn undo(paused: PausedQm<'_>, why: Error) -> Failure {
    match paused.resume() {
        Ok(()) => Failure::Kept(why),
        Err(_) => Failure::Broken(why),
    }
}
