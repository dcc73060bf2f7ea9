// SPDX-License-Identifier: GPL-2.0

//! A VF that can migrate: one owner of everything that changes.

use crate::{
    command::Outcome,
    failure_registers::FailureRegisters,
    history::{
        History,
        Origin, //
    },
    matching::{
        LocalDevice,
        Verified, //
    },
    open::{
        OpenVf, //
        VfConfig,
    },
    qm::{
        pf::PfLink,
        registers::{
            Mode,
            VfBar, //
        }, //
    },
    regs::{
        function::VF_STATE,
        BAR2, //
    },
    reject::Reject,
    stream::{
        Data,
        Image, //
    }, //
    trace,
};
use kernel::{
    device::Bound,
    io::Io,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use vfio::{
    device::CoreDevice,
    migration::{
        Direction,
        Failure,
        MigArc,
        Migrate,
        Session,
        State, //
        StateMachine,
        StreamFormat,
    }, //
};

/// A VF, with all that changes about it but the state it is in.
pub(crate) struct VfState {
    pub(crate) hw: PfLink,
    /// The device, while it is open.
    pub(crate) open: Option<OpenVf>,
    /// What the VF has, as soon as it has answered: when it was bound, opened or first stopped.
    pub(crate) identity: Option<VfConfig>,
    /// A command in debugfs has stopped the device, behind the back of its user.
    pub(crate) stopped_by_command: bool,
    /// Sessions, and arcs that failed. Most of what there is of a VF, so it is by itself.
    pub(crate) history: KBox<History>,
    /// How the last command in debugfs went.
    pub(crate) outcome: Option<Outcome>,
}

impl VfState {
    /// The device, which must be open.
    fn opened(&mut self) -> Result<&mut OpenVf> {
        self.open.as_mut().ok_or(ENODEV)
    }

    /// What the VF has, which must be known.
    fn known(&self) -> Result<VfConfig> {
        self.identity.ok_or(EIO)
    }

    /// What the VF has. Asks it if that is not known; its mailbox must be nobody else's then.
    fn identify(&mut self, core: &CoreDevice<Bound>) -> Result<VfConfig> {
        if let Some(identity) = self.identity {
            return Ok(identity);
        }
        let identity = VfConfig::ask(&self.opened()?.vf.access(core.pdev())?)?;
        self.identity = Some(identity);
        Ok(identity)
    }

    /// Remembers that `arc` has failed, and what the hardware says now.
    fn note(&mut self, core: &CoreDevice<Bound>, arc: MigArc, error: Error) {
        if let Some(open) = &self.open {
            let vf = open.vf.access(core.pdev()).ok();
            let symptoms = vf.and_then(|vf| FailureRegisters::of(&vf));
            self.history.fail(arc, error, symptoms);
        }
    }

    /// Remembers how the arc that was begun last has ended, and tells it.
    #[inline]
    fn ended(&mut self, arc: MigArc, result: Result) {
        let step = self.history.step(arc, result);
        if let Some(open) = &self.open {
            trace::arc(open.vf.pdev(), arc, step.duration, step.errno);
        }
    }

    /// Remembers why the session's data are refused; tells it once.
    fn refuse(&mut self, reject: Reject) {
        if let (Some(id), Some(open)) = (self.history.refuse(reject), &self.open) {
            trace::refuse(open.vf.pdev(), id, &reject);
        }
    }

    /// Saves a stopped function for debugfs.
    pub(crate) fn snapshot(&mut self, core: &CoreDevice<Bound>) -> Result {
        let identity = self.known()?;
        let data = self
            .opened()?
            .save_all(core.pdev(), &identity)
            .inspect_err(|e| self.note(core, MigArc::StopToStopCopy, *e))?;
        let session = Session::saved(&data)?;
        self.history.begin(Direction::Save, Origin::Debugfs);
        self.history.end(session);
        Ok(())
    }

    /// Parses what was kept of the last session, to load it back.
    ///
    /// # Errors
    ///
    /// [`ENODATA`] if there is none, if it is older than a reset, or if it is of a function without
    /// driver; [`EINVAL`] if it cannot be loaded.
    pub(crate) fn last_verified(&self) -> Result<Verified> {
        let record = self.history.last.as_ref().ok_or(ENODATA)?;
        if record.outdated {
            return Err(ENODATA);
        }
        match self.known()?.expected.verify(&record.data())? {
            Verified::NoDriver => Err(ENODATA),
            verified => Ok(verified),
        }
    }
}

#[vtable]
impl Migrate for VfState {
    type Format = LocalDevice;

    const FILE: &'static CStr = c"hisi_acc_vf_mig";

    fn stop(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure> {
        let queues = self.identify(core).map_err(Failure::Recoverable)?.queues;
        self.opened()
            .map_err(Failure::Recoverable)?
            .stop(core.pdev(), queues)
    }

    fn start(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure> {
        let queues = self.known().map_err(Failure::Recoverable)?.queues;
        let open = self.opened().map_err(Failure::Recoverable)?;
        open.start(core.pdev(), queues)
            .map_err(Failure::Recoverable)
    }

    /// The accelerators are integrated endpoints without a path to one another, so there is
    /// nothing to stop.
    fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    fn save_head(&mut self, core: &CoreDevice<Bound>) -> Result<Image> {
        let identity = self.known()?;
        self.opened()?.match_data(core.pdev(), &identity)
    }

    fn save(&mut self, core: &CoreDevice<Bound>, begun: Option<&Data>) -> Result<Data> {
        let identity = self.known()?;
        let open = self.opened()?;
        match begun {
            Some(begun) => open.save_rest(core.pdev(), begun),
            None => open.save_all(core.pdev(), &identity),
        }
    }

    fn stream_format(&mut self, _core: &CoreDevice<Bound>) -> Result<LocalDevice> {
        Ok(self.known()?.expected)
    }

    fn load(&mut self, core: &CoreDevice<Bound>, state: Verified) -> Result {
        self.opened()?.load(core.pdev(), &state)
    }

    fn reset(&mut self) {
        self.history.reset();
        self.stopped_by_command = false;
        if let Some(open) = &mut self.open {
            open.reset();
        }
    }

    fn closed(&mut self, _core: &CoreDevice<Bound>) {
        self.history.settle();
        self.stopped_by_command = false;
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
            self.stopped_by_command = false;
        }
    }

    fn arc_failed(&mut self, core: &CoreDevice<Bound>, arc: MigArc, failure: Failure) {
        self.note(core, arc, failure.into());
        self.ended(arc, Err(failure.into()));
        if arc.ends().0 == State::Running && matches!(failure, Failure::Recoverable(_)) {
            self.history.settle();
        }
    }

    fn session_begun(&mut self, role: Direction) {
        self.history.begin(role, Origin::User);
    }

    fn session_refused(&mut self, reject: Reject) {
        self.refuse(reject);
    }

    fn session_ended(&mut self, session: Session<LocalDevice>) {
        if let Some(reject) = session.reject() {
            self.refuse(reject);
        }
        self.history.end(session);
    }
}

/// A VF that can migrate.
#[pin_data]
pub(crate) struct MigratableVf {
    hw: PfLink,
    bar: Arc<VfBar>,
    /// Whether the migration registers are in the PF; does not change while the device is open.
    in_pf: Atomic<bool>,
    #[pin]
    pub(crate) machine: StateMachine<VfState>,
}

impl MigratableVf {
    /// For the VF `pdev`, which nobody uses yet.
    ///
    /// # Errors
    ///
    /// Those of [`VfBar::new`], and [`ENOMEM`].
    pub(crate) fn new(pdev: &pci::Device<Bound>, hw: PfLink) -> impl PinInit<Self, Error> + '_ {
        pin_init::pin_init_scope(move || {
            let bar = Arc::new(VfBar::new(pdev, BAR2)?, GFP_KERNEL)?;
            // Only debugfs needs to know it before the device is opened.
            let mode = Mode::of(&hw.pf);
            let identity = OpenVf::new(pdev, &hw, &bar, mode)
                .and_then(|open| VfConfig::ask(&open.vf.access(pdev)?))
                .ok();

            Ok(try_pin_init!(Self {
                hw,
                bar,
                in_pf: Atomic::new(mode == Mode::PfCtrl),
                machine <- StateMachine::new(VfState {
                    hw: *hw,
                    open: None,
                    identity,
                    stopped_by_command: false,
                    history: KBox::new(History::EMPTY, GFP_KERNEL)?,
                    outcome: None,
                }),
            }))
        })
    }

    /// The device's first user came. A VF that does not answer can be used, but not migrated.
    ///
    /// # Errors
    ///
    /// Those of [`OpenVf::new`].
    pub(crate) fn open(&self, pdev: &pci::Device<Bound>) -> Result {
        self.machine.with(|vf| {
            let mode = Mode::of(&vf.hw.pf);
            let open = OpenVf::new(pdev, &vf.hw, &self.bar, mode)?;
            self.in_pf.store(mode == Mode::PfCtrl, Relaxed);
            vf.history.forget();
            if vf.identity.is_none() {
                vf.identity = VfConfig::ask(&open.vf.access(pdev)?).ok();
            }
            vf.open = Some(open);
            Ok(())
        })
    }

    /// Called when the function has been reset, before anybody uses it again.
    ///
    /// The reset takes the queues of the function. Whether it also changes `VF_STATE` is not known
    /// of all hardware: the guest's driver does not when the guest reboots. A register that still
    /// said that the function is set up would have doorbells rung of queues that are not there.
    pub(crate) fn reset_done(&self, pdev: &pci::Device<Bound>) {
        if self.hw.pf.is_stopped() {
            return;
        }
        if let Ok(registers) = self.bar.vf_registers(pdev) {
            registers.write_reg(VF_STATE::zeroed().with_not_ready(true));
        }
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
