// SPDX-License-Identifier: GPL-2.0

//! Guests at work that are paused and go on, without a migration; that migrate while they are
//! paused, or late; and that are saved to a file and restored from it.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::guest_at_work::{LATENCY, WITHIN};
use super::guest_stage::{Stage, Test};
use crate::Options;
use crate::control::{self, Report};
use crate::engine::ZIP;
use crate::expect;
use crate::host::Host;
use crate::vmm::{self, Guest};

/// How often the guest is paused.
const PAUSES: u32 = 5;
const FILE: &str = "/tmp/guest.state";

const TESTS: [Test; 4] = [
    ("paused and continued, several times", paused),
    ("it migrates while it is paused", moves_paused),
    ("what its VF has written last comes with it", moves_late),
    ("saved to a file, and restored twice", saved),
];

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let host = Host::prepare(options, 2)?;
    control::set_latency(LATENCY)?;
    let mut stage = Stage::new(host, Guest::new(&[&ZIP])?)?;
    stage.goes_on()?;
    stage.run(report, &TESTS);
    stage.end(report);
    control::report_violations(report, true);
    Ok(())
}

impl Stage {
    /// Pauses the guest, and its VF with it.
    fn pause(&mut self) -> Result<()> {
        self.vmm.execute("stop", json!({}))?;
        self.vmm.reaches("paused", WITHIN)?;
        expect::equal("state of its VF", vmm::state(self.vf())?.as_str(), "STOP")
    }
}

fn paused(stage: &mut Stage) -> Result<()> {
    let sessions = vmm::sessions(stage.vf())?;
    for pause in 1..=PAUSES {
        stage.pause()?;
        stage.vmm.execute("cont", json!({}))?;
        stage.goes_on().with_context(|| format!("pause {pause}"))?;
    }
    expect::equal("sessions of the VF", vmm::sessions(stage.vf())?, sessions)
}

fn moves_paused(stage: &mut Stage) -> Result<()> {
    let (place, mut other) = stage.other_place("paused")?;
    stage.pause()?;
    let before = stage.guest.load();
    vmm::migrate(&mut stage.vmm, &mut other, WITHIN)?;
    stage.takes_over(other, place)?;
    let after = stage.guest.load();
    ensure!(after.done >= before.done, "{before:?}, then {after:?}");
    Ok(())
}

/// Its queues are in memory that was sent before.
fn moves_late(stage: &mut Stage) -> Result<()> {
    let (place, mut other) = stage.other_place("late")?;
    vmm::migrate_late(&mut stage.vmm, &mut other, WITHIN)?;
    stage.takes_over(other, place)
}

fn saved(stage: &mut Stage) -> Result<()> {
    vmm::save(&mut stage.vmm, FILE, WITHIN)?;
    expect::equal("state of its VF", vmm::state(stage.vf())?.as_str(), "STOP")?;
    let luggage = stage.guest.leaves()?;
    for name in ["restored1", "restored2"] {
        let (place, mut other) = stage.other_place(name)?;
        // It must not be at work in two places, and what it does not come back to is forgotten.
        stage.vmm.execute("stop", json!({}))?;
        stage.guest.leaves()?;
        stage.guest.arrives(luggage.clone());
        vmm::restore(&mut other, FILE, WITHIN)?;
        stage.takes_over(other, place)?;
        stage.goes_on().context(name)?;
    }
    Ok(())
}
