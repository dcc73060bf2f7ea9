// SPDX-License-Identifier: GPL-2.0

//! One of two emulated hosts between which a guest moves: what it has, and its part of a move.

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report, show};
use monitor::{Guest, Limits, PageComparison, PageHashes, Role, TransferredState, Vmm, Watch};
use protocol::{HostName, Load, Setup, Switchover};
use serde::{Deserialize, Serialize};
use vm::engine;

use super::migrate_under_load::{
    DESTINATION, LATENCY, Place, SOURCE, WITHIN, WORK, compare_written, nothing_is_left_behind,
    tell_leg, were_seen, works_flawlessly,
};
use crate::expect;
use crate::host::Host;
use crate::other_host::{self, OtherHost};

/// The destination host says that the guest can come.
#[derive(Serialize, Deserialize)]
struct Ready {
    vfs: String,
}

/// The source host says that all of the guest is sent.
#[derive(Serialize, Deserialize)]
struct Sent {
    transferred: TransferredState,
    /// What the VFs have written there.
    written: PageHashes,
}

/// The destination host says that the guest works there.
#[derive(Serialize, Deserialize)]
struct Arrived {
    load: Load,
    pages: PageComparison,
}

/// A move that is under way.
pub(crate) struct Move {
    /// The VFs that the guest is to have.
    to: String,
    /// The guest's work when the move began.
    before: Load,
}

/// One of the two hosts.
pub(crate) struct LocalHost {
    hosts: Vec<Host>,
    /// Where the guest is when it is here.
    pub(crate) place: Place,
    pub(crate) guest: Guest,
    watch: Watch,
    pub(crate) other: OtherHost,
    /// The monitor that has the guest or waits for it. When something fails it lives until the
    /// other host knows.
    vmm: Option<Vmm>,
    /// How many monitors there were.
    monitors: u32,
}

impl LocalHost {
    pub(crate) fn prepare(setup: &Setup, host: HostName) -> Result<Self> {
        // First of all: it sets the clock, and has to hear of every failure.
        let mut other = OtherHost::meet(host)?;
        let (hosts, guest) =
            prepare(setup).inspect_err(|error| other.fail(&format!("{error:#}")))?;
        let place = Place::of(&hosts, 0);
        Ok(LocalHost {
            watch: Watch::start(&place.vfs),
            place,
            guest,
            other,
            hosts,
            vmm: None,
            monitors: 0,
        })
    }

    /// Does this host's part of something as a test point.
    pub(crate) fn part(
        &mut self,
        report: &mut Report,
        name: &str,
        act: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        other_host::part(self, report, name, act)
    }

    fn start(&mut self, role: Role) -> Result<Vmm> {
        let name = format!("vmm{}", self.monitors);
        self.monitors += 1;
        let host = self.hosts.first().context("no accelerator is chosen")?;
        Vmm::start(&name, role, host.kind, &self.place.vfs, &self.guest)
    }

    /// Starts the guest, if this is the first host.
    pub(crate) fn boot(&mut self, report: &mut Report) -> Result<()> {
        if !self.other.is_first() {
            return Ok(());
        }
        self.part(report, "a guest boots and works", |local| {
            local.vmm = Some(local.start(Role::Boots)?);
            local.guest.does(WORK, WITHIN)
        })
    }

    /// The monitor that has the guest or waits for it.
    pub(crate) fn vmm(&mut self) -> Result<&mut Vmm> {
        self.vmm.as_mut().context("the guest is not here")
    }

    /// As [`Self::vmm`], which then is the local host's no more.
    pub(crate) fn leave_vmm(&mut self) -> Result<Vmm> {
        self.vmm.take().context("the guest is not here")
    }

    /// Waits until the VFs are in that state.
    pub(crate) fn reach(&self, wanted: &str) -> Result<()> {
        let reached = |vf| expect::eventually(wanted, WITHIN, || Ok(monitor::state(vf)? == wanted));
        self.place.vfs.iter().try_for_each(reached)
    }

    /// Starts a monitor that waits for the guest, and informs the other host.
    pub(crate) fn wait_for_guest(&mut self, limits: Limits) -> Result<()> {
        let mut vmm = self.start(Role::Waits)?;
        monitor::listen(&mut vmm, &self.other.here(), limits)?;
        self.vmm = Some(vmm);
        let vfs = self.place.names();
        self.other.say(&Ready { vfs })
    }

    /// Begins to move the guest, when the other host is ready and the guest works.
    pub(crate) fn begin(&mut self, limits: Limits) -> Result<Move> {
        let Ready { vfs } = self.other.hear(WITHIN)?;
        self.guest.does(WORK, WITHIN)?;
        let before = self.guest.load();
        let there = self.other.there();
        monitor::send(self.vmm()?, &there, limits)?;
        Ok(Move { to: vfs, before })
    }

    /// Waits until the guest works on the other host, and reports the leg of this number. The move
    /// has begun with the limits of the switchover.
    pub(crate) fn complete(
        &mut self,
        number: u32,
        begun: Move,
        switchover: Switchover,
    ) -> Result<()> {
        let figures = monitor::completes_by(self.vmm()?, switchover, WITHIN)?;
        let transferred = self.guest.leaves()?;
        let vmm = self.vmm.as_mut().context("the guest is not here")?;
        let written = self.place.hash_written(vmm)?;
        self.other.say(&Sent {
            transferred,
            written,
        })?;
        let Arrived { load, pages } = self.other.hear(WITHIN)?;
        // Closing the VFs makes their history a thing of the past.
        self.place.tell_sessions()?;
        self.leave_vmm()?.quit()?;
        let requests = load.done.checked_sub(begun.before.done);
        let requests = requests.context("requests that were done are forgotten")?;
        tell_leg(figures.leg(number, self.place.names(), begun.to, requests, pages));
        Ok(())
    }

    /// Moves the guest to the other host.
    pub(crate) fn give(&mut self, number: u32, switchover: Switchover) -> Result<()> {
        self.forget_states();
        let begun = self.begin(Limits::to_begin(switchover))?;
        self.complete(number, begun, switchover)?;
        were_seen(&self.watch, &self.place.vfs, &SOURCE)
    }

    /// Lets the guest come from the other host.
    pub(crate) fn take(&mut self, switchover: Switchover) -> Result<()> {
        self.forget_states();
        self.wait_for_guest(Limits::to_begin(switchover))?;
        self.receive()?;
        were_seen(&self.watch, &self.place.vfs, &DESTINATION)
    }

    /// The guest, which is on its way, goes on here.
    fn receive(&mut self) -> Result<()> {
        let sent = self.other.hear(WITHIN);
        let vmm = self.vmm.as_mut().context("no monitor waits")?;
        let Sent {
            transferred,
            written,
        } = sent.with_context(|| format!("QEMU here: {}", vmm.messages()))?;
        self.guest.arrives(transferred);
        let pages = compare_written(&written, vmm)?;
        nothing_is_left_behind(pages)?;
        monitor::go_on(vmm, WITHIN)?;
        let load = self.guest.load();
        self.place.tell_sessions()?;
        self.other.say(&Arrived { load, pages })?;
        self.guest.does(WORK, WITHIN).context("after the move")?;
        works_flawlessly(&self.guest)
    }

    /// Ends the guest where it is, and checks what the accelerators saw.
    pub(crate) fn end(mut self, report: &mut Report) -> Result<()> {
        if let Some(mut vmm) = self.vmm.take() {
            report.point("every request came back once, byte for byte", || {
                let load = self.guest.end(&mut vmm, WITHIN)?;
                show("the guest ends");
                vmm.wait(WITHIN)?;
                ensure!(load.is_flawless(), "{:?}", self.guest.loads());
                Ok(())
            });
        }
        for host in &self.hosts {
            EmulatedDevice(host.accelerator.id).report_violations(report, host.is_clean()?);
        }
        Ok(())
    }

    fn forget_states(&self) {
        for vf in &self.place.vfs {
            self.watch.seen(vf);
        }
    }
}

impl AsMut<OtherHost> for LocalHost {
    fn as_mut(&mut self) -> &mut OtherHost {
        &mut self.other
    }
}

/// The VFs and what listens to the guest.
fn prepare(setup: &Setup) -> Result<(Vec<Host>, Guest)> {
    let accelerators = engine::chosen(setup);
    let hosts: Vec<Host> = accelerators
        .iter()
        .map(|accelerator| Host::with(setup, accelerator, 1))
        .collect::<Result<_>>()?;
    for host in &hosts {
        EmulatedDevice(host.accelerator.id).set_latency(LATENCY)?;
    }
    Ok((
        hosts,
        Guest::new(accelerators.iter().map(|one| one.kind).collect())?,
    ))
}
