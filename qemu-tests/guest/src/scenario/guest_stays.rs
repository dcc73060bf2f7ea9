// SPDX-License-Identifier: GPL-2.0

//! Migrations that fail, are cancelled, or whose destination dies: the guest goes on working where
//! it is, and can migrate afterwards.

use anyhow::{Context, Result, ensure};

use super::guest_at_work::{LATENCY, WITHIN, WORK};
use crate::Options;
use crate::control::{self, Report};
use crate::engine::ZIP;
use crate::expect;
use crate::host::Host;
use crate::vmm::{self, Guest, Limits, Role, Vmm};

/// The guest never seems to be able to stop for so short a time, so it is not stopped.
pub(super) const ENDLESS: Limits = Limits {
    downtime: 1,
    bandwidth: 4 << 20,
};
/// The emulated host, with a guest that has the first VF.
struct Stage {
    host: Host,
    guest: Guest,
    vmm: Vmm,
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    // 64 queues for three VFs are 21, 21 and 22.
    let host = Host::prepare(options, 3)?;
    control::set_latency(LATENCY)?;
    let guest = Guest::new(&[&ZIP])?;
    let vmm = Vmm::start("vmm0", Role::Boots, host.kind, &host.vfs[..1], &guest)?;
    guest
        .does(WORK, WITHIN)
        .context("the guest does not boot")?;
    let mut stage = Stage { host, guest, vmm };

    type Test = fn(&mut Stage) -> Result<()>;
    let tests: [(&str, Test); 5] = [
        (
            "a VF with more queues refuses, and the guest never stops",
            other_queues,
        ),
        ("cancelled while the guest runs", cancelled_running),
        ("cancelled while the guest stands still", cancelled_stopped),
        ("the destination dies while the guest runs", killed_running),
        (
            "the destination dies while the guest stands still",
            killed_stopped,
        ),
    ];
    for (name, test) in tests {
        report.point(name, || {
            let result = test(&mut stage).and_then(|()| stage.goes_on());
            result.with_context(|| stage.sessions())
        });
    }
    report.point(
        "it migrates all the same, and every request came back",
        || {
            let Stage {
                host,
                mut guest,
                mut vmm,
            } = stage;
            let mut other = Vmm::start("last", Role::Waits, host.kind, &host.vfs[1..2], &guest)?;
            vmm::migrate(&mut vmm, &mut other, WITHIN)?;
            vmm.quit()?;
            guest.does(WORK, WITHIN)?;
            let load = guest.end(WITHIN)?;
            other.wait(WITHIN)?;
            ensure!(load.is_flawless(), "{load:?}");
            Ok(())
        },
    );
    control::report_violations(report, true);
    Ok(())
}

impl Stage {
    /// What all VFs have to tell.
    fn sessions(&self) -> String {
        let sessions = self.host.vfs.iter().map(|vf| {
            let sessions = vmm::sessions(vf).unwrap_or_default();
            format!("{vf}: {}", sessions.join("; "))
        });
        sessions.collect::<Vec<_>>().join("\n")
    }

    /// A QEMU that waits for the guest, with the VF of that index.
    fn destination(&self, name: &str, vf: usize) -> Result<Vmm> {
        let vfs = &self.host.vfs[vf..=vf];
        Vmm::start(name, Role::Waits, self.host.kind, vfs, &self.guest)
    }

    /// The guest works where it was.
    fn goes_on(&mut self) -> Result<()> {
        self.vmm.reaches("running", WITHIN)?;
        self.guest.does(WORK, WITHIN)?;
        expect::equal(
            "state of its VF",
            vmm::state(&self.host.vfs[0])?.as_str(),
            "RUNNING",
        )?;
        let load = self.guest.load();
        ensure!(load.is_flawless(), "{load:?}");
        Ok(())
    }

    /// Waits until the guest's VF is in that state.
    fn vf_reaches(&self, wanted: &str) -> Result<()> {
        let vf = &self.host.vfs[0];
        expect::eventually(wanted, WITHIN, || Ok(vmm::state(vf)? == wanted))
    }

    fn has_failed(&mut self) -> Result<()> {
        vmm::fails(&mut self.vmm, WITHIN).map(drop)
    }

    fn cancel(&mut self, destination: &Vmm) -> Result<()> {
        vmm::cancel(&mut self.vmm, WITHIN).with_context(|| destination.messages())
    }
}

fn other_queues(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("other", 2)?;
    let stops = stage.vmm.told("STOP");
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.has_failed()?;
    expect::equal("stops of the guest", stage.vmm.told("STOP"), stops)?;
    let refusal = vmm::refusal(&stage.host.vfs[2])?;
    ensure!(
        refusal.contains("queue_count expected 0x16 got 0x15"),
        "attr was to say what does not fit: {refusal}"
    );
    control::line(&format!("@show the VF says: {refusal}"));
    control::line(&format!("@show QEMU says: {}", other.messages()));
    Ok(())
}

fn cancelled_running(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("cancelled1", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, ENDLESS)?;
    stage.vf_reaches("PRE_COPY")?;
    stage.guest.does(WORK, WITHIN)?;
    stage.cancel(&other)
}

fn cancelled_stopped(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("cancelled2", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.vf_reaches("STOP_COPY")?;
    stage.cancel(&other)?;
    let status = other.status().unwrap_or_else(|_| "gone".to_owned());
    control::line(&format!("@show the destination is {status}"));
    ensure!(status != "running", "the guest runs on both sides");
    Ok(())
}

fn killed_running(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("killed1", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, ENDLESS)?;
    stage.vf_reaches("PRE_COPY")?;
    other.kill()?;
    stage.has_failed()
}

fn killed_stopped(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("killed2", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.vf_reaches("STOP_COPY")?;
    other.kill()?;
    stage.has_failed()
}
