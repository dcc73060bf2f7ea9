// SPDX-License-Identifier: GPL-2.0

//! A VF that can migrate: one owner of everything that changes.

use crate::{
    debugfs::Outcome,
    doing::{
        Doing,
        Failed, //
    },
    engine::Engine,
    ffi::PfQm,
    hal::Mode,
    history::{
        FailedArc,
        History, //
    },
    matching::Verified,
    open::{
        Failure,
        Identity,
        Open, //
    },
    record::{
        Origin,
        Record,
        Role,
        Session, //
    },
    session::SaveSession,
    symptoms::Symptoms,
    trace,
    wire, //
};
use kernel::{
    fs::File,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};
use vfio::{
    device::Core,
    migration::{
        Features,
        MigArc,
        Migration,
        State, //
    },
    reset::{
        Guarded,
        Reset, //
    }, //
};

/// What does not change about a VF while it is bound.
#[derive(Clone, Copy)]
pub(crate) struct Hardware {
    pub(crate) engine: Engine,
    pub(crate) pf: PfQm,
    /// The VF's number in the PF's tables; the PF itself is 0.
    pub(crate) function: u32,
}

/// All that changes about a VF.
pub(crate) struct Owner {
    /// The device, while it is open.
    pub(crate) open: Option<Open>,
    /// What the device is, from when it was first asked with success: when it was bound, or opened.
    pub(crate) identity: Option<Identity>,
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
    pub(crate) fn walk(&mut self, hw: &Hardware, arc: MigArc) -> Result<Option<ARef<File>>> {
        let open = self.open.as_mut().ok_or(ENODEV)?;
        self.history.start(arc);
        let result = match open.walk(hw, &mut self.history, arc) {
            Ok(file) => Ok(file),
            Err(Failure::Kept(error)) => {
                self.note(hw, arc, error);
                Err(error)
            }
            Err(Failure::Broken(error)) => {
                self.fail(hw, arc, error);
                Err(error)
            }
        };

        let walked = result.as_ref().map(|_| ()).map_err(|error| *error);
        let step = self.history.step(arc, walked);
        if let Some(open) = &self.open {
            trace::arc(open.vf.pdev(), &step);
        }
        if self.state() == Some(State::Running) {
            self.history.settle();
        }
        result
    }

    /// Leaves a P2P state that was entered on the way from `origin`, which is none, to where the
    /// device could not be brought. A user who does not know these states must not end in one.
    pub(crate) fn turn_back(&mut self, hw: &Hardware, origin: State) {
        if matches!(origin, State::RunningP2p | State::PreCopyP2p) {
            return;
        }
        let arc = match self.state() {
            Some(State::RunningP2p) => MigArc::RunningP2pToRunning,
            Some(State::PreCopyP2p) => MigArc::PreCopyP2pToPreCopy,
            _ => return,
        };
        // Nothing is asked of the hardware, so it cannot fail.
        let _ = self.walk(hw, arc);
    }

    /// Remembers that `arc` has failed, and what the hardware says now.
    fn note(&mut self, hw: &Hardware, arc: MigArc, error: Error) {
        if let Some(open) = &self.open {
            let symptoms = Symptoms::of(&open.vf, hw);
            let failed = FailedArc::new(open.doing.session(), arc, error, symptoms);
            self.history.failures.push(failed);
        }
    }

    /// `arc` has failed and leaves the device in ERROR.
    fn fail(&mut self, hw: &Hardware, arc: MigArc, error: Error) {
        self.note(hw, arc, error);
        if let Some(open) = &mut self.open {
            let failed = Doing::Failed(Failed { arc, error });
            open.doing.end(failed, &mut self.history, open.vf.pdev());
        }
    }

    /// Saves a stopped function for debugfs.
    pub(crate) fn snapshot(&mut self, hw: &Hardware) -> Result {
        let open = self.open.as_mut().ok_or(ENODEV)?;
        let data = open
            .save_all()
            .inspect_err(|e| self.note(hw, MigArc::StopToStopCopy, *e))?;
        let session = SaveSession::stop_copy(self.history.next_id(), &data)?;
        self.history.begin(session.id, Role::Save, Origin::Debugfs);
        self.history.end(Record {
            session: Session::Save(session),
            origin: Origin::Debugfs,
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
        Ok(record.data().verify(&open.identity.expected)?)
    }

    /// Loads a stopped function for debugfs.
    pub(crate) fn load(&mut self, hw: &Hardware, verified: &Verified) -> Result {
        let open = self.open.as_mut().ok_or(ENODEV)?;
        open.load(verified)
            .inspect_err(|e| self.fail(hw, MigArc::ResumingToStop, *e))
    }
}

impl Reset for Owner {
    fn reset(&mut self) {
        if let Some(open) = &mut self.open {
            open.doing
                .end(Doing::RUNNING, &mut self.history, open.vf.pdev());
            self.history.settle();
        }
    }
}

/// A VF that can migrate.
#[pin_data]
pub(crate) struct Mig {
    pub(crate) hw: Hardware,
    /// Whether the migration registers are in the PF; does not change while the device is open.
    in_pf: Atomic<bool>,
    #[pin]
    pub(crate) owner: Guarded<Owner>,
}

impl Mig {
    /// For the VF `pdev`, which nobody uses yet.
    pub(crate) fn new(pdev: &pci::Device, hw: Hardware) -> impl PinInit<Self> {
        // Nothing but debugfs needs to know it before the device is opened.
        let mode = Mode::of(&hw.pf);
        let identity = Open::new(pdev, &hw, mode, None)
            .map(|open| open.identity)
            .ok();

        pin_init!(Self {
            hw,
            in_pf: Atomic::new(mode == Mode::PfCtrl),
            owner <- Guarded::new(Owner {
                open: None,
                identity,
                history: History::EMPTY,
                outcome: None,
            }),
        })
    }

    /// The device's first user came.
    ///
    /// # Errors
    ///
    /// Those of [`Open::new`].
    pub(crate) fn open(&self, pdev: &pci::Device) -> Result {
        let mode = Mode::of(&self.hw.pf);
        self.owner.with(|owner| {
            let open = Open::new(pdev, &self.hw, mode, owner.identity)?;
            self.in_pf.store(mode == Mode::PfCtrl, Relaxed);
            owner.history.forget();
            owner.identity = Some(open.identity);
            owner.open = Some(open);
            Ok(())
        })
    }

    /// Where the migration registers are, or were when the device was open last.
    pub(crate) fn mode(&self) -> Mode {
        if self.in_pf.load(Relaxed) {
            Mode::PfCtrl
        } else {
            Mode::VfCtrl
        }
    }
}

impl Migration for Mig {
    fn features(&self) -> Features {
        Features::PRE_COPY.and(Features::P2P)
    }

    fn set_state(&self, core: &Core, target: State) -> Result<Option<ARef<File>>> {
        self.owner.with(|owner| {
            let origin = owner.state().ok_or(ENODEV)?;
            let mut current = origin;
            let mut file = None;
            while current != target {
                if self.owner.in_reset() {
                    return Err(EBUSY);
                }
                let arc = core.next_arc(current, target)?;
                file = owner
                    .walk(&self.hw, arc)
                    .inspect_err(|_| owner.turn_back(&self.hw, origin))?;
                current = arc.ends().1;
            }
            Ok(file)
        })
    }

    /// A device that nobody has open would run.
    fn state(&self) -> State {
        self.owner
            .with(|owner| owner.state().unwrap_or(State::Running))
    }

    fn data_size(&self) -> Result<usize> {
        Ok(wire::SIZE)
    }

    fn closed(&self) {
        self.owner.with(|owner| {
            owner.reset();
            owner.open = None;
        });
    }

    fn reset_prepare(&self) {
        self.owner.reset_begin();
    }

    fn reset_done(&self) {
        self.owner.reset_end();
    }
}
