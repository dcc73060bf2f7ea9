// SPDX-License-Identifier: GPL-2.0

//! A VF that can migrate, and the callbacks of its state machine.

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
        OpenVf,
        VfConfig, //
    },
    parameters,
    qm::{
        pf::PfLink,
        registers::{
            RegisterPlacement,
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
    },
    trace, //
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
    dirty_tracking::DirtyTracking,
    migration::{
        Direction,
        Failure,
        MigArc,
        Migrate,
        Session,
        State,
        StateMachine,
        StreamFormat, //
    }, //
};

/// The mutable state of a VF, except for its migration state. The state machine's lock protects it.
pub(crate) struct VfState {
    pub(crate) link: PfLink,
    /// The device, while it is open.
    pub(crate) open: Option<OpenVf>,
    /// The VF's configuration, once it could be read: when the VF was bound, opened or first
    /// stopped.
    pub(crate) config: Option<VfConfig>,
    /// Whether a debugfs command has stopped the device without the knowledge of its user.
    pub(crate) stopped_by_command: bool,
    /// Past sessions and failed arcs. Boxed, because it is by far the largest field.
    pub(crate) history: KBox<History>,
    /// Outcome of the last debugfs command.
    pub(crate) outcome: Option<Outcome>,
}

impl VfState {
    /// Returns the device, which must be open.
    fn open_vf(&mut self) -> Result<&mut OpenVf> {
        self.open.as_mut().ok_or(ENODEV)
    }

    /// Returns the VF's configuration, which must be known.
    fn known_config(&self) -> Result<VfConfig> {
        self.config.ok_or(EIO)
    }

    /// Returns the VF's configuration, and reads it if it is not known. Nothing else may use the
    /// VF's mailbox then.
    fn query_config(&mut self, core: &CoreDevice<Bound>) -> Result<VfConfig> {
        if let Some(config) = self.config {
            return Ok(config);
        }
        let config = VfConfig::query(&self.open_vf()?.qm.bind(core.pdev())?)?;
        self.config = Some(config);
        Ok(config)
    }

    /// Records that `arc` has failed, with the registers after the failure.
    fn record_failure(&mut self, core: &CoreDevice<Bound>, arc: MigArc, error: Error) {
        if let Some(open) = &self.open {
            let vf = open.qm.bind(core.pdev()).ok();
            let registers = vf.and_then(|vf| FailureRegisters::read(&vf));
            self.history.add_failure(arc, error, registers);
        }
    }

    /// Records the result of the current arc in the history and as a trace event.
    #[inline]
    fn end_arc(&mut self, arc: MigArc, result: Result) {
        let step = self.history.finish_arc(arc, result);
        if let Some(open) = &self.open {
            trace::arc(open.qm.pdev(), arc, step.duration, step.errno);
        }
    }

    /// Records why the session's data are refused. Traces each reason once.
    fn record_reject(&mut self, reject: Reject) {
        if let (Some(id), Some(open)) = (self.history.set_reject(reject), &self.open) {
            trace::refuse(open.qm.pdev(), id, &reject);
        }
    }

    /// Saves a stopped function on behalf of debugfs.
    pub(crate) fn save_snapshot(&mut self, core: &CoreDevice<Bound>) -> Result {
        let config = self.known_config()?;
        let data = self
            .open_vf()?
            .save_all(core.pdev(), &config)
            .inspect_err(|e| self.record_failure(core, MigArc::StopToStopCopy, *e))?;
        let session = Session::saved(&data)?;
        self.history.begin_session(Direction::Save, Origin::Debugfs);
        self.history.finish_session(session);
        Ok(())
    }

    /// Parses the data of the last session, to load them back.
    ///
    /// # Errors
    ///
    /// [`ENODATA`] if there is no session, if the function was reset after it, or if its function
    /// had no driver; [`EINVAL`] if the data cannot be loaded.
    pub(crate) fn verify_last_session(&self) -> Result<Verified> {
        let record = self.history.last.as_ref().ok_or(ENODATA)?;
        if record.outdated {
            return Err(ENODATA);
        }
        match self.known_config()?.local_device.verify(&record.data())? {
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
        let queues = self
            .query_config(core)
            .map_err(Failure::Recoverable)?
            .queues;
        self.open_vf()
            .map_err(Failure::Recoverable)?
            .stop_function(core.pdev(), queues)
    }

    fn start(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure> {
        let queues = self.known_config().map_err(Failure::Recoverable)?.queues;
        let open = self.open_vf().map_err(Failure::Recoverable)?;
        open.start_function(core.pdev(), queues)
            .map_err(Failure::Recoverable)
    }

    /// Does nothing, but offers the P2P states: the accelerators are integrated endpoints without a
    /// path to one another.
    fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
        Ok(())
    }

    fn save_head(&mut self, core: &CoreDevice<Bound>) -> Result<Image> {
        let config = self.known_config()?;
        self.open_vf()?.match_data(core.pdev(), &config)
    }

    fn save(&mut self, core: &CoreDevice<Bound>, begun: Option<&Data>) -> Result<Data> {
        let config = self.known_config()?;
        let open = self.open_vf()?;
        match begun {
            Some(begun) => open.save_rest(core.pdev(), begun),
            None => open.save_all(core.pdev(), &config),
        }
    }

    fn stream_format(&mut self, _core: &CoreDevice<Bound>) -> Result<LocalDevice> {
        Ok(self.known_config()?.local_device)
    }

    fn load(&mut self, core: &CoreDevice<Bound>, state: Verified) -> Result {
        self.open_vf()?.load_function(core.pdev(), &state)
    }

    fn reset(&mut self) {
        self.history.handle_reset();
        self.stopped_by_command = false;
        if let Some(open) = &mut self.open {
            open.forget_loaded();
        }
    }

    fn closed(&mut self, _core: &CoreDevice<Bound>) {
        self.history.detach_session();
        self.stopped_by_command = false;
        self.open = None;
    }

    fn arc_begins(&mut self, arc: MigArc) {
        self.history.begin_arc(arc);
    }

    #[inline]
    fn arc_walked(&mut self, arc: MigArc) {
        self.end_arc(arc, Ok(()));
        if arc.ends().1 == State::Running {
            self.history.detach_session();
            self.stopped_by_command = false;
        }
    }

    fn arc_failed(&mut self, core: &CoreDevice<Bound>, arc: MigArc, failure: Failure) {
        self.record_failure(core, arc, failure.into());
        self.end_arc(arc, Err(failure.into()));
        if arc.ends().0 == State::Running && matches!(failure, Failure::Recoverable(_)) {
            self.history.detach_session();
        }
    }

    fn session_begun(&mut self, role: Direction) {
        self.history.begin_session(role, Origin::User);
    }

    fn session_refused(&mut self, reject: Reject) {
        self.record_reject(reject);
    }

    fn session_ended(&mut self, session: Session<LocalDevice>) {
        if let Some(reject) = session.reject() {
            self.record_reject(reject);
        }
        self.history.finish_session(session);
    }
}

/// A VF that can migrate.
#[pin_data]
pub(crate) struct MigratableVf {
    link: PfLink,
    bar: Arc<VfBar>,
    /// Whether the placement of the migration registers is [`RegisterPlacement::PfWindow`]. Constant
    /// while the device is open.
    ///
    /// Like the C driver's `drv_mode`, it is read without a lock: an access of the user to BAR 2
    /// must not wait for an arc. [`OpenVf`] has the placement as an enum, but only with the lock
    /// held. It is a `bool` here because [`Atomic`] can contain an enum only with `unsafe` code.
    in_pf: Atomic<bool>,
    pub(crate) tracking: DirtyTracking,
    #[pin]
    pub(crate) machine: StateMachine<VfState>,
}

impl MigratableVf {
    /// Returns an initializer for the VF `pdev`, which has no user yet.
    ///
    /// # Errors
    ///
    /// Those of [`VfBar::new`], and [`ENOMEM`].
    pub(crate) fn new(pdev: &pci::Device<Bound>, link: PfLink) -> impl PinInit<Self, Error> + '_ {
        pin_init::pin_init_scope(move || {
            let bar = Arc::new(VfBar::new(pdev, BAR2)?, GFP_KERNEL)?;
            // Only debugfs needs the configuration before the device is opened.
            let placement = RegisterPlacement::read(&link.pf);
            let config = OpenVf::new(pdev, &link, &bar, placement)
                .and_then(|open| VfConfig::query(&open.qm.bind(pdev)?))
                .ok();

            let tracking = DirtyTracking::choose(pdev, parameters::dma_logging());
            let logs_dma = tracking == DirtyTracking::Driver;

            Ok(try_pin_init!(Self {
                link,
                bar,
                tracking,
                in_pf: Atomic::new(placement == RegisterPlacement::PfWindow),
                machine <- StateMachine::with_dma_logging(VfState {
                    link: *link,
                    open: None,
                    config,
                    stopped_by_command: false,
                    history: KBox::new(History::EMPTY, GFP_KERNEL)?,
                    outcome: None,
                }, logs_dma),
            }))
        })
    }

    /// Called on the first open of the device. A VF that does not answer can be used, but cannot
    /// migrate.
    ///
    /// # Errors
    ///
    /// Those of [`OpenVf::new`].
    pub(crate) fn open(&self, pdev: &pci::Device<Bound>) -> Result {
        self.machine.with(|guard| {
            let vf = guard.driver_mut();
            let placement = RegisterPlacement::read(&vf.link.pf);
            let open = OpenVf::new(pdev, &vf.link, &self.bar, placement)?;
            self.in_pf
                .store(placement == RegisterPlacement::PfWindow, Relaxed);
            vf.history.clear();
            if vf.config.is_none() {
                vf.config = VfConfig::query(&open.qm.bind(pdev)?).ok();
            }
            vf.open = Some(open);
            Ok(())
        })
    }

    /// Called after a reset of the function, before anything uses the function again.
    ///
    /// The reset removes the queues of the function. It is not known whether it also changes
    /// `VF_STATE` on all hardware; the guest's driver does not change it when the guest reboots. If
    /// the register still said that the function is set up, doorbells of missing queues would be
    /// rung.
    pub(crate) fn reset_done(&self, pdev: &pci::Device<Bound>) {
        if self.link.pf.is_stopped() {
            return;
        }
        if let Ok(registers) = self.bar.vf_registers(pdev) {
            registers.write_reg(VF_STATE::zeroed().with_not_ready(true));
        }
    }

    /// Returns where the migration registers are, or were when the device was last open.
    pub(crate) fn placement(&self) -> RegisterPlacement {
        if self.in_pf.load(Relaxed) {
            RegisterPlacement::PfWindow
        } else {
            RegisterPlacement::VfBar
        }
    }
}
