// SPDX-License-Identifier: GPL-2.0

//! Guests at work that are paused and go on, without a migration; that migrate while they are
//! paused, or late; and that are saved to a file and restored from it.

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report};
use monitor::Guest;
use protocol::{Setup, Switchover};
use serde_json::json;
use vm::engine;

use super::fixture::{GuestFixture, Test};
use super::migrate_under_load::{LATENCY, WITHIN};
use crate::expect;
use crate::host::Host;

/// How often the guest is paused.
const PAUSES: u32 = 5;
const FILE: &str = "/tmp/guest.state";

const TESTS: [Test; 4] = [
    ("paused and continued, several times", paused),
    ("it migrates while it is paused", moves_paused),
    ("what its VF has written last comes with it", moves_late),
    ("saved to a file, and restored twice", saved),
];

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let accelerator = *engine::chosen(setup)
        .first()
        .context("no accelerator is chosen")?;
    let host = Host::with(setup, accelerator, 2)?;
    let device = EmulatedDevice(accelerator.id);
    device.set_latency(LATENCY)?;
    let guest = Guest::new(vec![accelerator.kind])?.doing(setup.workload.unwrap_or_default());
    let mut fixture = GuestFixture::new(host, guest)?;
    fixture.goes_on()?;
    fixture.run(report, &TESTS);
    fixture.end(report);
    device.report_violations(report, true);
    Ok(())
}

impl GuestFixture {
    /// Pauses the guest, and its VF with it.
    fn pause(&mut self) -> Result<()> {
        self.vmm.execute("stop", json!({}))?;
        self.vmm.reaches("paused", WITHIN)?;
        expect::equal(
            "state of its VF",
            monitor::state(self.vf())?.as_str(),
            "STOP",
        )
    }
}

fn paused(fixture: &mut GuestFixture) -> Result<()> {
    let sessions = monitor::sessions(fixture.vf())?;
    for pause in 1..=PAUSES {
        fixture.pause()?;
        fixture.vmm.execute("cont", json!({}))?;
        fixture
            .goes_on()
            .with_context(|| format!("pause {pause}"))?;
    }
    expect::equal(
        "sessions of the VF",
        monitor::sessions(fixture.vf())?,
        sessions,
    )
}

fn moves_paused(fixture: &mut GuestFixture) -> Result<()> {
    let (place, mut other) = fixture.other_place("paused")?;
    fixture.pause()?;
    let before = fixture.guest.load();
    monitor::migrate(&mut fixture.vmm, &mut other, WITHIN)?;
    fixture.takes_over(other, place)?;
    let after = fixture.guest.load();
    ensure!(after.done >= before.done, "{before:?}, then {after:?}");
    Ok(())
}

/// Its queues are in memory that was sent before.
fn moves_late(fixture: &mut GuestFixture) -> Result<()> {
    let (place, mut other) = fixture.other_place("late")?;
    let _ = monitor::migrate_by(&mut fixture.vmm, &mut other, Switchover::AllSent, WITHIN)?;
    fixture.takes_over(other, place)
}

fn saved(fixture: &mut GuestFixture) -> Result<()> {
    monitor::save(&mut fixture.vmm, FILE, WITHIN)?;
    expect::equal(
        "state of its VF",
        monitor::state(fixture.vf())?.as_str(),
        "STOP",
    )?;
    let transferred = fixture.guest.leaves()?;
    for name in ["restored1", "restored2"] {
        let (place, mut other) = fixture.other_place(name)?;
        // It must not be at work in two places, and what it does not come back to is forgotten.
        fixture.vmm.execute("stop", json!({}))?;
        fixture.guest.leaves()?;
        fixture.guest.arrives(transferred.clone());
        monitor::restore(&mut other, FILE, WITHIN)?;
        fixture.takes_over(other, place)?;
        fixture.goes_on().context(name)?;
    }
    Ok(())
}
