// SPDX-License-Identifier: GPL-2.0

//! A VF that can migrate: one owner of everything that changes.

use crate::{
    debugfs::Outcome,
    engine::Engine,
    ffi::PfQm,
    hal::Mode,
    history::History,
    matching::{
        Expected,
        Verified, //
    },
    open::{
        Identity,
        Open, //
    },
    record::Origin,
    reject::Reject,
    symptoms::Symptoms,
    trace,
    wire::{
        Data,
        Image, //
    }, //
};
use kernel::{
    pci,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use vfio::{
    device::Core,
    migration::{
        Expect,
        Failure,
        Machine,
        MigArc,
        Migrate,
        Role,
        Session,
        State, //
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

/// A VF, with all that changes about it but the state it is in.
pub(crate) struct Vf {
    pub(crate) hw: Hardware,
    /// The device, while it is open.
    pub(crate) open: Option<Open>,
    /// What the device is, from when it was first asked with success: when it was bound, or opened.
    pub(crate) identity: Option<Identity>,
    /// Sessions, and arcs that failed. Most of what there is of a VF, so it is by itself.
    pub(crate) history: KBox<History>,
    /// How the last command in debugfs went.
    pub(crate) outcome: Option<Outcome>,
}

impl Vf {
    /// The device, which must be open.
    fn opened(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or(ENODEV)
    }

    /// Remembers that `arc` has failed, and what the hardware says now.
    fn note(&mut self, arc: MigArc, error: Error) {
        if let Some(open) = &self.open {
            let symptoms = Symptoms::of(&open.vf, &self.hw);
            self.history.fail(arc, error, symptoms);
        }
    }

    /// Remembers how the arc that was begun last has ended, and tells it.
    #[inline]
    fn ended(&mut self, arc: MigArc, result: Result) {
        let step = self.history.step(arc, result);
        if let Some(open) = &self.open {
            trace::arc(open.vf.pdev(), &step);
        }
    }

    /// Remembers why the session's data are refused; tells it once.
    fn refuse(&mut self, reject: Reject) {
        if let (Some(id), Some(open)) = (self.history.refuse(reject), &self.open) {
            trace::refuse(open.vf.pdev(), id, &reject);
        }
    }

    /// Saves a stopped function for debugfs.
    pub(crate) fn snapshot(&mut self) -> Result {
        let data = self
            .opened()?
            .save_all()
            .inspect_err(|e| self.note(MigArc::StopToStopCopy, *e))?;
        let session = Session::saved(&data)?;
        self.history.begin(Role::Save, Origin::Debugfs);
        self.history.end(session);
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
        Ok(open.identity.expected.verify(&record.data())?)
    }
}

#[vtable]
impl Migrate for Vf {
    type Expected = Expected;

    const FILE: &'static CStr = c"hisi_acc_vf_mig";

    fn stop(&mut self, _core: &Core) -> Result<(), Failure> {
        let hw = self.hw;
        self.opened().map_err(Failure::Kept)?.stop(&hw)
    }

    fn start(&mut self, _core: &Core) -> Result<(), Failure> {
        let open = self.opened().map_err(Failure::Kept)?;
        open.start().map_err(Failure::Kept)
    }

    /// The accelerators are integrated endpoints without a path to one another, so there is
    /// nothing to stop.
    fn quiesce(&mut self, _core: &Core) -> Result<(), Failure> {
        Ok(())
    }

    fn unquiesce(&mut self, _core: &Core) -> Result<(), Failure> {
        Ok(())
    }

    fn save_head(&mut self, _core: &Core) -> Result<Image> {
        Ok(self.opened()?.match_data())
    }

    fn save(&mut self, _core: &Core, begun: Option<&Data>) -> Result<Data> {
        let open = self.opened()?;
        match begun {
            Some(begun) => open.save_rest(begun),
            None => open.save_all(),
        }
    }

    fn expected(&mut self, _core: &Core) -> Result<Expected> {
        Ok(self.opened()?.identity.expected)
    }

    fn load(&mut self, _core: &Core, state: Verified) -> Result {
        self.opened()?.load(&state)
    }

    fn reset(&mut self) {
        self.history.settle();
    }

    fn closed(&mut self) {
        self.history.settle();
        self.open = None;
    }

    fn arc_begins(&mut self, arc: MigArc) {
        self.history.start(arc);
    }

    #[inline]
    fn arc_walked(&mut self, arc: MigArc) {
        self.ended(arc, Ok(()));
        if arc.ends().1 == State::Running {
            self.history.settle();
        }
    }

    fn arc_failed(&mut self, arc: MigArc, failure: Failure) {
        self.note(arc, failure.into());
        self.ended(arc, Err(failure.into()));
        if arc.ends().0 == State::Running && matches!(failure, Failure::Kept(_)) {
            self.history.settle();
        }
    }

    fn session_begun(&mut self, role: Role) {
        self.history.begin(role, Origin::User);
    }

    fn session_refused(&mut self, reject: Reject) {
        self.refuse(reject);
    }

    fn session_ended(&mut self, session: Session<Expected>) {
        if let Some(reject) = session.reject() {
            self.refuse(reject);
        }
        self.history.end(session);
    }
}

/// A VF that can migrate.
#[pin_data]
pub(crate) struct Mig {
    /// Whether the migration registers are in the PF; does not change while the device is open.
    in_pf: Atomic<bool>,
    #[pin]
    pub(crate) machine: Machine<Vf>,
}

impl Mig {
    /// For the VF `pdev`, which nobody uses yet.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(pdev: &pci::Device, hw: Hardware) -> impl PinInit<Self, Error> {
        // Nothing but debugfs needs to know it before the device is opened.
        let mode = Mode::of(&hw.pf);
        let identity = Open::new(pdev, &hw, mode, None)
            .map(|open| open.identity)
            .ok();

        try_pin_init!(Self {
            in_pf: Atomic::new(mode == Mode::PfCtrl),
            machine <- Machine::new(Vf {
                hw,
                open: None,
                identity,
                history: KBox::new(History::EMPTY, GFP_KERNEL)?,
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
        self.machine.with(|vf| {
            let mode = Mode::of(&vf.hw.pf);
            let open = Open::new(pdev, &vf.hw, mode, vf.identity)?;
            self.in_pf.store(mode == Mode::PfCtrl, Relaxed);
            vf.history.forget();
            vf.identity = Some(open.identity);
            vf.open = Some(open);
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
