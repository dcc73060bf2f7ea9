// SPDX-License-Identifier: GPL-2.0

//! A guest with VFs, at work, migrates: from one QEMU to another and back, several times.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use timeline::{Leg, Load, What};

use crate::Options;
use crate::control::{self, Report};
use crate::engine;
use crate::host::Host;
use crate::sysfs::Function;
use crate::vmm::{self, Guest, Role, Vmm, Watch};

/// For the guest to boot, for one leg, for the guest to end.
pub(super) const WITHIN: Duration = Duration::from_secs(240);
/// Requests of each engine before the guest moves, and after.
pub(super) const WORK: u64 = 100;
/// Of an engine, so that there are always requests in flight.
pub(super) const LATENCY: Duration = Duration::from_millis(2);

/// States that QEMU takes the VFs through and that last long enough to be seen.
pub(super) const SOURCE: [&str; 1] = ["STOP_COPY"];
pub(super) const DESTINATION: [&str; 2] = ["RESUMING", "RUNNING"];

/// How often the guest is to go and come back.
pub(super) fn rounds(options: &Options) -> Result<u32> {
    match options.get("rounds") {
        Some(number) => number.parse().context("rounds= is no number"),
        None => Ok(5),
    }
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let rounds = rounds(options)?;
    let accelerators = engine::chosen(options)?;
    let hosts: Vec<Host> = accelerators
        .iter()
        .map(|accelerator| Host::with(options, accelerator, 2))
        .collect::<Result<_>>()?;
    let host = hosts.first().context("no accelerator is chosen")?;
    // Of each accelerator a VF for either place that the guest can be at.
    let places = [0, 1].map(|place| {
        let vfs = hosts.iter().map(|host| host.vfs[place].clone());
        vfs.collect::<Vec<_>>()
    });
    for host in &hosts {
        control::set_latency_of(host.accelerator.id, LATENCY)?;
    }
    let guest = Guest::new(&accelerators)?;
    let mut holder = None;
    let watch = Watch::start(&places.concat());
    let up = report.point("a guest boots and works", || {
        show("a guest boots");
        let vmm = Vmm::start("vmm0", Role::Boots, host.kind, &places[0], &guest)?;
        guest.does(WORK, WITHIN)?;
        holder = Some(vmm);
        Ok(())
    });
    ensure!(up, "nothing to migrate");
    for number in 1..=2 * rounds {
        let (from, to) = match number % 2 {
            1 => (&places[0], &places[1]),
            _ => (&places[1], &places[0]),
        };
        let name = format!("leg {number}: {} to {}", names(from), names(to));
        show(&name);
        let done = report.point(&name, || {
            let source = holder.take().context("there is no guest")?;
            holder = Some(leg(host, &guest, &watch, source, number, from, to)?);
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
    for host in &hosts {
        control::report_violations_of(host.accelerator.id, report, host.is_clean()?);
    }
    Ok(())
}

pub(super) fn names(vfs: &[Function]) -> String {
    let names: Vec<&str> = vfs.iter().map(Function::name).collect();
    names.join(" ")
}

pub(super) fn show(text: &str) {
    control::line(&format!("@show {text}"));
}

/// Tells what a VF's sessions were; the C driver does not know.
pub(super) fn tell_history(host: &Host, vf: &Function) -> Result<()> {
    if host.driver.is_rust() {
        vmm::tell(What::History {
            vf: vf.to_string(),
            sessions: vmm::sessions(vf)?,
        });
    }
    Ok(())
}

/// Tells a leg's figures.
pub(super) fn tell_leg(leg: Leg) {
    show(&format!(
        "  stood still for {} ms; {} KiB sent, {} bytes of them the VFs'; {} requests meanwhile",
        leg.downtime,
        leg.transferred >> 10,
        leg.device_state,
        leg.requests,
    ));
    vmm::tell(What::Leg(leg));
}

/// Each of the VFs must have been seen in these states, in their order.
pub(super) fn were_seen(watch: &Watch, vfs: &[Function], states: &[&str]) -> Result<()> {
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

/// Nothing was lost or spoilt so far; tells how far the guest's work is.
pub(super) fn works_flawlessly(guest: &Guest) -> Result<()> {
    let loads = guest.loads();
    for (engine, load) in &loads {
        show(&format!("  {engine}: {load}"));
    }
    ensure!(loads.values().all(Load::is_flawless), "{loads:?}");
    Ok(())
}

/// Moves the guest; returns who has it then.
fn leg(
    host: &Host,
    guest: &Guest,
    watch: &Watch,
    mut source: Vmm,
    number: u32,
    from: &[Function],
    to: &[Function],
) -> Result<Vmm> {
    let name = format!("vmm{number}");
    let mut destination = Vmm::start(&name, Role::Waits, host.kind, to, guest)?;
    guest.does(WORK, WITHIN)?;
    let before = guest.load();
    for vf in from.iter().chain(to) {
        watch.seen(vf);
    }
    let figures = vmm::migrate(&mut source, &mut destination, WITHIN)?;
    let requests = guest.load().done - before.done;
    // Closing the source's VF makes its history a thing of the past.
    for vf in from.iter().chain(to) {
        tell_history(host, vf)?;
    }
    source.quit()?;
    tell_leg(figures.leg(number, names(from), names(to), requests));
    guest.does(WORK, WITHIN).context("after the move")?;
    were_seen(watch, from, &SOURCE)?;
    were_seen(watch, to, &DESTINATION)?;
    works_flawlessly(guest)?;
    Ok(destination)
}
