// SPDX-License-Identifier: GPL-2.0

//! A guest with VFs, at work, migrates: from one QEMU to another and back, several times.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report, show};
use linux::sysfs::Function;
use monitor::{Guest, Limits, PageComparison, PageHashes, Role, Vmm, Watch};
use protocol::{Cancel, Load, MigrationRecord, Multifd, Setup, StopFirst, Switchover, What};
use vfio_client::Kind;
use vm::engine;

use crate::expect;
use crate::host::{Driver, Host};
use crate::scenario::support::history;

/// For the guest to boot, for one leg, for the guest to end.
pub(crate) const WITHIN: Duration = Duration::from_secs(600);
/// Requests of each engine before the guest moves, and after.
pub(crate) const WORK: u64 = 100;
/// For the work after a move on which the guest may hang: many times what it takes.
const UNLESS_IT_HANGS: Duration = Duration::from_secs(120);
/// Of an engine, so that there are always requests in flight.
pub(crate) const LATENCY: Duration = Duration::from_millis(2);

/// States that QEMU takes the VFs through and that last long enough to be seen.
pub(crate) const SOURCE: [&str; 1] = ["STOP_COPY"];
pub(crate) const DESTINATION: [&str; 2] = ["RESUMING", "RUNNING"];

/// How often the guest goes and comes back if nothing else is asked for.
pub(crate) const ROUNDS: u32 = 5;

/// Where the guest can be: with these VFs.
pub(crate) struct Place {
    /// One of each accelerator.
    pub(crate) vfs: Vec<Function>,
    /// Of each VF the accelerator, and the number that the VF has there.
    emulated: Vec<(EmulatedDevice, usize)>,
    driver: Driver,
}

impl Place {
    pub(crate) fn of(hosts: &[Host], index: usize) -> Self {
        Place {
            vfs: hosts.iter().map(|host| host.vfs[index].clone()).collect(),
            emulated: hosts
                .iter()
                .map(|host| (EmulatedDevice(host.accelerator.id), index + 1))
                .collect(),
            driver: hosts[0].driver_of(index),
        }
    }

    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.vfs.iter().map(Function::name).collect();
        names.join(" ")
    }

    /// Hashes the pages of the guest's memory that the VFs have written since its monitor opened
    /// them. The guest stands still, and all of it was sent.
    pub(crate) fn hash_written(&self, source: &mut Vmm) -> Result<PageHashes> {
        let mut written = BTreeSet::new();
        for (device, number) in &self.emulated {
            written.append(&mut device.written_pages(*number)?);
        }
        source.hash_pages(&written)
    }

    /// Reports the VFs' last sessions, as our driver has them.
    pub(crate) fn tell_sessions(&self) -> Result<()> {
        for vf in &self.vfs {
            if !self.driver.is_rust() {
                continue;
            }
            let sessions = monitor::sessions(vf)?;
            if let Some(arcs) = sessions.last().and_then(|last| protocol::arcs(last)) {
                show(format!("  {vf}, us: {arcs}"));
            }
            let vf = vf.to_string();
            monitor::tell(What::History { vf, sessions });
        }
        Ok(())
    }
}

/// With which limits to migrate first, and the state of a VF in which to cancel that.
fn cancelled_when(cancel: Cancel) -> Option<(Limits, &'static str)> {
    match cancel {
        Cancel::No => None,
        Cancel::Running => Some((Limits::ENDLESS, "PRE_COPY")),
        Cancel::Stopped => Some((Limits::GENEROUS, "STOP_COPY")),
    }
}

/// What can be chosen for the scenario.
#[derive(Clone, Copy)]
pub(crate) struct Choices {
    pub(crate) rounds: u32,
    pub(crate) cancel: Cancel,
    pub(crate) switchover: Switchover,
    pub(crate) stop_first: StopFirst,
    pub(crate) multifd: Multifd,
}

impl Choices {
    /// Starts a monitor for the guest, which migrates as was chosen.
    fn start(
        self,
        name: &str,
        role: Role,
        kind: Kind,
        vfs: &[Function],
        guest: &Guest,
    ) -> Result<Vmm> {
        let mut vmm = Vmm::start(name, role, kind, vfs, guest)?;
        if self.multifd == Multifd::Yes {
            vmm.set_capabilities(&["multifd"], true)?;
        }
        Ok(match self.stop_first {
            StopFirst::Auto => vmm,
            StopFirst::No => vmm.without_stop_first(),
        })
    }

    /// The guest has moved: it has to go on with its work.
    fn works_on(self, guest: &Guest) -> Result<()> {
        match self.stop_first {
            StopFirst::Auto => guest.does(WORK, WITHIN).context("after the move"),
            StopFirst::No => guest.does(WORK, UNLESS_IT_HANGS).context(
                "the guest hangs after the move, as it does if QEMU has left behind what its VFs \
                 wrote to memory that was sent already",
            ),
        }
    }
}

pub(crate) fn run(setup: &Setup, choices: Choices, report: &mut Report) -> Result<()> {
    let rounds = choices.rounds;
    let accelerators = engine::chosen(setup);
    let hosts: Vec<Host> = accelerators
        .iter()
        .map(|accelerator| Host::with(setup, accelerator, 2))
        .collect::<Result<_>>()?;
    let kind = hosts.first().context("no accelerator is chosen")?.kind;
    let places = [Place::of(&hosts, 0), Place::of(&hosts, 1)];
    for host in &hosts {
        EmulatedDevice(host.accelerator.id).set_latency(LATENCY)?;
    }
    let guest = Guest::new(accelerators.iter().map(|one| one.kind).collect())?
        .doing(setup.workload.unwrap_or_default());
    let mut holder = None;
    let watch = Watch::start(&[&places[0].vfs[..], &places[1].vfs].concat());
    let up = report.point("a guest boots and works", || {
        show("a guest boots");
        let mut vmm = choices.start("vmm0", Role::Boots, kind, &places[0].vfs, &guest)?;
        show(format!("  by QEMU {}", vmm.version()?));
        guest.does(WORK, WITHIN)?;
        holder = Some(vmm);
        Ok(())
    });
    ensure!(up, "nothing to migrate");
    if let Some((limits, state)) = cancelled_when(choices.cancel) {
        let name = format!("cancelled in {state}, it works on where it is");
        show(&name);
        report.point(&name, || {
            let source = holder.as_mut().context("there is no guest")?;
            cancelled(&guest, kind, source, &places, limits, state)
        });
    }
    for number in 1..=2 * rounds {
        let [first, second] = &places;
        let (from, to) = match number % 2 {
            1 => (first, second),
            _ => (second, first),
        };
        let name = format!("leg {number}: {} to {}", from.names(), to.names());
        show(format!("{name}, of {}", 2 * rounds));
        let done = report.point(&name, || {
            let source = holder.take().context("there is no guest")?;
            let way = Way { number, from, to };
            holder = Some(leg(kind, &guest, &watch, source, way, choices)?);
            Ok(())
        });
        ensure!(done, "the guest is nowhere");
    }
    report.point("every request came back once, byte for byte", || {
        let mut vmm = holder.take().context("there is no guest")?;
        let load = guest.end(&mut vmm, WITHIN)?;
        show("the guest ends");
        vmm.wait(WITHIN)?;
        ensure!(load.is_flawless(), "{:?}", guest.loads());
        Ok(())
    });
    report.point("VFIO core has a history of what QEMU requested", || {
        let vfs = places.iter().flat_map(|place| &place.vfs);
        vfs.map(Function::name).try_for_each(history::of_migrations)
    });
    for host in &hosts {
        EmulatedDevice(host.accelerator.id).report_violations(report, host.is_clean()?);
    }
    Ok(())
}

/// Compares what the VFs had written at the source of a migration with the destination, where the
/// guest has not gone on yet.
pub(crate) fn compare_written(sent: &PageHashes, destination: &mut Vmm) -> Result<PageComparison> {
    let here = destination.hash_pages(&sent.pages())?;
    let pages = sent.compare(&here);
    show(format!("  {pages}"));
    ensure!(pages.compared > 0, "the VFs have written nothing");
    Ok(pages)
}

/// Fails if a page that a VF wrote was left behind.
pub(crate) fn nothing_is_left_behind(pages: PageComparison) -> Result<()> {
    ensure!(pages.differing == 0, "at the destination: {pages}");
    Ok(())
}

/// Reports a leg's figures.
pub(crate) fn tell_leg(leg: MigrationRecord) {
    show(format!(
        "  stood still for {} ms, while {} KiB were sent of {} KiB, {} bytes of them the VFs'; {} \
         requests meanwhile",
        leg.downtime,
        leg.downtime_bytes >> 10,
        leg.transferred >> 10,
        leg.device_state,
        leg.requests,
    ));
    monitor::tell(What::Migration(leg));
}

/// Each of the VFs must have been seen in these states, in their order.
pub(crate) fn were_seen(watch: &Watch, vfs: &[Function], states: &[&str]) -> Result<()> {
    for vf in vfs {
        let seen = watch.seen(vf);
        let mut others = seen.iter();
        ensure!(
            states.iter().all(|state| others.any(|seen| seen == state)),
            "{vf} was to go through {states:?}, was seen in {seen:?}"
        );
    }
    Ok(())
}

/// Nothing was lost or corrupted so far; shows how far the guest's work is.
pub(crate) fn works_flawlessly(guest: &Guest) -> Result<()> {
    let loads = guest.loads();
    for (engine, load) in &loads {
        show(format!("  {engine}: {load}"));
    }
    ensure!(loads.values().all(Load::is_flawless), "{loads:?}");
    Ok(())
}

/// Begins to move the guest and cancels that when its VFs are in `state`.
fn cancelled(
    guest: &Guest,
    kind: Kind,
    source: &mut Vmm,
    [here, there]: &[Place; 2],
    limits: Limits,
    state: &str,
) -> Result<()> {
    let mut destination = Vmm::start("cancelled", Role::Waits, kind, &there.vfs, guest)?;
    monitor::begin(source, &mut destination, limits)?;
    for vf in &here.vfs {
        expect::eventually(state, WITHIN, || Ok(monitor::state(vf)? == state))?;
    }
    monitor::cancel(source, WITHIN)?;
    destination.kill()?;
    source.reaches("running", WITHIN)?;
    guest.does(WORK, WITHIN)?;
    works_flawlessly(guest)
}

/// One of the guest's migrations.
struct Way<'a> {
    /// From 1.
    number: u32,
    from: &'a Place,
    to: &'a Place,
}

/// Moves the guest; returns the monitor that has it then.
fn leg(
    kind: Kind,
    guest: &Guest,
    watch: &Watch,
    mut source: Vmm,
    Way { number, from, to }: Way<'_>,
    choices: Choices,
) -> Result<Vmm> {
    let name = format!("vmm{number}");
    let mut destination = choices.start(&name, Role::Waits, kind, &to.vfs, guest)?;
    guest.does(WORK, WITHIN)?;
    let before = guest.load();
    for vf in from.vfs.iter().chain(&to.vfs) {
        watch.seen(vf);
    }
    let limits = Limits::to_begin(choices.switchover);
    monitor::begin(&mut source, &mut destination, limits)?;
    let figures = monitor::completes_by(&mut source, choices.switchover, WITHIN)?;
    let written = from.hash_written(&mut source)?;
    let pages = compare_written(&written, &mut destination)?;
    if choices.stop_first == StopFirst::Auto {
        nothing_is_left_behind(pages)?;
    }
    monitor::go_on(&mut destination, WITHIN)?;
    let requests = guest.load().done - before.done;
    // Closing the source's VF makes its history a thing of the past.
    from.tell_sessions()?;
    to.tell_sessions()?;
    source.quit()?;
    tell_leg(figures.leg(number, from.names(), to.names(), requests, pages));
    choices.works_on(guest)?;
    nothing_is_left_behind(pages)?;
    were_seen(watch, &from.vfs, &SOURCE)?;
    were_seen(watch, &to.vfs, &DESTINATION)?;
    works_flawlessly(guest)?;
    Ok(destination)
}
