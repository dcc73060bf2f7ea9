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
    matching::Expected,
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

/// An open device.
pub(crate) struct Open {
    pub(crate) vf: Pin<KBox<VfQm>>,
    pub(crate) queues: Queues,
    pub(crate) expected: Expected,
    pub(crate) doing: Doing,
}

impl Open {
    /// Reaches for the registers of the VF `pdev` and asks it what it is. Its mailbox must be
    /// nobody else's.
    ///
    /// # Errors
    ///
    /// Those of [`Mode::connect`] and of [`VfQm::queues`].
    pub(crate) fn new(pdev: &pci::Device, hw: &Hardware, mode: Mode) -> Result<Self> {
        let hal = mode.connect(pdev, &hw.pf, hw.function)?;
        let vf = KBox::pin_init(VfQm::new(pdev, &hw.pf, hal), GFP_KERNEL)?;
        let queues = vf.queues()?;
        let expected = Expected {
            device: hw.engine.device_id(),
            queue_count: queues.count,
            isolation: hw.pf.io().read(pf::QUE_ISO_CFG).into_raw(),
        };
        Ok(Self {
            vf,
            queues,
            expected,
            doing: Doing::Running,
        })
    }

    /// Stops the function.
    fn stop(&self, hw: &Hardware) -> Result<PausedQm<'_>, Failure> {
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
    pub(crate) fn save_all(&self) -> Result<Data> {
        let mut image = self.header(wire::FOLLOWS_STATE);
        if self.vf.save(&mut image)? {
            return Ok(Data::new(image, wire::SIZE));
        }
        Ok(self.without_driver())
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
        Data::new(image, wire::SIZE)
    }

    /// Walks one arc. What the user gets for it, if anything, is a data file.
    pub(crate) fn walk(
        &mut self,
        hw: &Hardware,
        history: &mut History,
        arc: MigArc,
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
                let session = SaveSession::pre_copy(history.next_id(), self.match_data())?;
                let file = data_file::source::<_, LocalModule>(FILE_NAME, session.clone())?;
                history.begin(session.id, Role::Save, Origin::User);
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
                history.begin(session.id, Role::Save, Origin::User);
                (Doing::StopCopy(session), Some(file))
            }
            (MigArc::StopCopyToStop, _) => (Doing::Stop, None),
            (MigArc::StopToResuming, _) => {
                let session = ResumeSession::new(history.next_id(), self.expected)?;
                let file = data_file::sink::<_, LocalModule>(FILE_NAME, session.clone())?;
                history.begin(session.id, Role::Resume, Origin::User);
                (Doing::Resuming(session), Some(file))
            }
            (MigArc::ResumingToStop, Doing::Resuming(session)) => {
                let verified = session.verify().map_err(|reject| {
                    refuse(history, self.vf.pdev(), session.id, reject);
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
            )
            | (
                // Only without the P2P states.
                MigArc::RunningToStop | MigArc::StopToRunning | MigArc::PreCopyToStopCopy,
                _,
            ) => return Err(EINVAL.into()),
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
