// SPDX-License-Identifier: GPL-2.0

//! A guest with a VF, at work, migrates: from one QEMU to another and back, several times.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use timeline::{Leg, What};

use crate::Options;
use crate::control::{self, Report};
use crate::host::Host;
use crate::sysfs::Function;
use crate::vmm::{self, Guest, Role, Vmm, Watch};

/// For the guest to boot, for one leg, for the guest to end.
pub(super) const WITHIN: Duration = Duration::from_secs(240);
/// Requests before the guest moves, and after.
pub(super) const WORK: u64 = 100;
/// Of the engine, so that there are always requests in flight.
pub(super) const LATENCY: Duration = Duration::from_millis(2);

/// States that QEMU takes the VFs through and that last long enough to be seen.
const SOURCE: [&str; 1] = ["STOP_COPY"];
const DESTINATION: [&str; 2] = ["RESUMING", "RUNNING"];

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let rounds: u32 = match options.get("rounds") {
        Some(number) => number.parse().context("rounds= is no number")?,
        None => 5,
    };
    let host = Host::prepare(options, 2)?;
    control::set_latency(LATENCY)?;
    let mut guest = Guest::new()?;
    let mut place = None;
    let watch = Watch::start(&host.vfs);
    let up = report.point("a guest boots and works", || {
        show("a guest boots, with a VF and hisi_zip in it");
        let vmm = Vmm::start("vmm0", Role::Boots, host.kind, &[&host.vfs[0]], &guest)?;
        guest.does(WORK, WITHIN)?;
        place = Some(vmm);
        Ok(())
    });
    ensure!(up, "nothing to migrate");
    for number in 1..=2 * rounds {
        let (from, to) = match number % 2 {
            1 => (&host.vfs[0], &host.vfs[1]),
            _ => (&host.vfs[1], &host.vfs[0]),
        };
        let name = format!("leg {number}: {from} to {to}");
        show(&name);
        let done = report.point(&name, || {
            let source = place.take().context("there is no guest")?;
            place = Some(leg(&host, &guest, &watch, source, number, from, to)?);
            Ok(())
        });
        ensure!(done, "the guest is nowhere");
    }
    report.point("every request came back once, byte for byte", || {
        let mut vmm = place.take().context("there is no guest")?;
        let load = guest.end(WITHIN)?;
        show(&format!("the guest ends: {load:?}"));
        vmm.wait(WITHIN)?;
        ensure!(load.is_flawless(), "{load:?}");
        Ok(())
    });
    control::report_violations(report, host.driver.is_rust());
    Ok(())
}

fn show(text: &str) {
    control::line(&format!("@show {text}"));
}

/// Moves the guest; returns who has it then.
fn leg(
    host: &Host,
    guest: &Guest,
    watch: &Watch,
    mut source: Vmm,
    number: u32,
    from: &Function,
    to: &Function,
) -> Result<Vmm> {
    let name = format!("vmm{number}");
    let mut destination = Vmm::start(&name, Role::Waits, host.kind, &[to], guest)?;
    guest.does(WORK, WITHIN)?;
    let before = guest.load();
    for vf in [from, to] {
        watch.seen(vf);
    }
    let figures = vmm::migrate(&mut source, &mut destination, WITHIN)?;
    let requests = guest.load().done - before.done;
    // Closing the source's VF makes its history a thing of the past.
    for vf in [from, to] {
        if host.driver.is_rust() {
            vmm::tell(What::History {
                vf: vf.to_string(),
                sessions: vmm::sessions(vf)?,
            });
        }
    }
    source.quit()?;
    vmm::tell(What::Leg(Leg {
        number,
        from: from.to_string(),
        to: to.to_string(),
        downtime: figures.downtime,
        total: figures.total,
        transferred: figures.transferred,
        device_state: figures.device_state,
        requests,
    }));
    show(&format!(
        "  stood still for {} ms; {} KiB sent, {} bytes of them the VF's; {} requests meanwhile",
        figures.downtime,
        figures.transferred >> 10,
        figures.device_state,
        requests,
    ));
    guest.does(WORK, WITHIN).context("after the move")?;
    let expected: [(&Function, &[&str]); 2] = [(from, &SOURCE), (to, &DESTINATION)];
    for (vf, states) in expected {
        let seen = watch.seen(vf);
        let mut others = seen.iter();
        ensure!(
            states.iter().all(|state| others.any(|seen| seen == state)),
            "{vf} was to go through {states:?}, was seen in {seen:?}"
        );
    }
    ensure!(guest.load().is_flawless(), "{:?}", guest.load());
    Ok(destination)
}
