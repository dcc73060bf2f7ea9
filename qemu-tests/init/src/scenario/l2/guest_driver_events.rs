// SPDX-License-Identifier: GPL-2.0

//! Guests that do something else than work while they migrate: they have no driver for their VF,
//! load it, unload it, or are reset.

use anyhow::{Result, ensure};
use control::{Report, ZIP0};
use monitor::Guest;
use protocol::Setup;
use protocol::channel::Order;
use serde_json::json;
use vm::engine::ZIP;

use super::fixture::{GuestFixture, Test};
use super::migrate_under_load::{LATENCY, WITHIN};
use crate::expect;
use crate::host::Host;

const TESTS: [Test; 6] = [
    (
        "a guest that never had a driver migrates, and loads it then",
        without_driver,
    ),
    (
        "it unloads its driver while it migrates, and loads it again",
        unloads,
    ),
    ("it loads its driver while it migrates", loads),
    (
        "it loads and unloads its driver while it migrates",
        loads_and_unloads,
    ),
    ("it is reset while it migrates", reset),
    ("it reboots while it migrates", reboots),
];

/// Bytes of the match data, and of all data.
const MATCH_DATA: usize = 40;
const ALL_DATA: usize = 176;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    ZIP0.set_latency(LATENCY)?;
    let mut fixture = GuestFixture::new(host, Guest::new(vec![ZIP.kind])?.resting())?;
    fixture.run(report, &TESTS);
    fixture.end(report);
    ZIP0.report_violations(report, true);
    Ok(())
}

impl GuestFixture {
    fn obeys(&mut self, order: Order) -> Result<()> {
        self.guest.obeys(&mut self.vmm, order, WITHIN)
    }

    /// The last sessions of both VFs had that many bytes, and nothing in them failed.
    fn has_sent(&self, bytes: usize) -> Result<()> {
        for vf in &self.host.vfs[..2] {
            let sessions = monitor::sessions(vf)?;
            let last = sessions.last().map_or("none", String::as_str);
            ensure!(
                last.contains(&format!(" bytes={bytes} refused=- ")),
                "{vf}: a session of {bytes} bytes was to be the last: {last}"
            );
            expect::equal("arcs that failed", monitor::failures(vf)?, Vec::new())?;
        }
        Ok(())
    }
}

fn without_driver(fixture: &mut GuestFixture) -> Result<()> {
    fixture.has_driver(false)?;
    let (place, mut other) = fixture.other_place("changes1")?;
    monitor::migrate(&mut fixture.vmm, &mut other, WITHIN)?;
    fixture.takes_over(other, place)?;
    fixture.has_sent(MATCH_DATA)?;
    fixture.has_driver(false)?;
    fixture.obeys(Order::Work)?;
    fixture.has_driver(true)
}

fn unloads(fixture: &mut GuestFixture) -> Result<()> {
    let (place, mut other) = fixture.other_place("changes2")?;
    fixture.begins_to_move(&mut other)?;
    fixture.has_driver(true)?;
    fixture.obeys(Order::Rest)?;
    fixture.has_driver(false)?;
    fixture.moves(other, place)?;
    // They were promised when there was a driver.
    fixture.has_sent(ALL_DATA)?;
    fixture.has_driver(false)?;
    fixture.obeys(Order::Work)?;
    fixture.has_driver(true)
}

fn loads(fixture: &mut GuestFixture) -> Result<()> {
    fixture.obeys(Order::Rest)?;
    let (place, mut other) = fixture.other_place("changes3")?;
    fixture.begins_to_move(&mut other)?;
    fixture.has_driver(false)?;
    fixture.obeys(Order::Work)?;
    fixture.goes_on_in("PRE_COPY")?;
    fixture.moves(other, place)?;
    fixture.has_sent(ALL_DATA)?;
    fixture.has_driver(true)
}

fn loads_and_unloads(fixture: &mut GuestFixture) -> Result<()> {
    fixture.obeys(Order::Rest)?;
    let (place, mut other) = fixture.other_place("changes4")?;
    fixture.begins_to_move(&mut other)?;
    fixture.obeys(Order::Work)?;
    fixture.goes_on_in("PRE_COPY")?;
    fixture.obeys(Order::Rest)?;
    fixture.moves(other, place)?;
    fixture.has_sent(MATCH_DATA)?;
    fixture.has_driver(false)?;
    fixture.obeys(Order::Work)
}

/// The guest has been reset, which ends the session of its VF and so the migration.
fn is_anew(fixture: &mut GuestFixture) -> Result<()> {
    fixture.has_failed()?;
    control::show(format!("QEMU says: {}", fixture.vmm.messages()));
    let sessions = monitor::sessions(fixture.vf())?;
    let last = sessions.last().map_or("none", String::as_str);
    ensure!(
        last.contains(" role=save ") && !last.contains(" end=- "),
        "the reset was to end the session: {last}"
    );
    fixture.guest.is_up(WITHIN)?;
    fixture.obeys(Order::Work)
}

fn reset(fixture: &mut GuestFixture) -> Result<()> {
    let (_, mut other) = fixture.other_place("changes5")?;
    fixture.begins_to_move(&mut other)?;
    let boots = fixture.guest.boots();
    fixture.vmm.execute("system_reset", json!({}))?;
    fixture.guest.boots_again(boots, WITHIN)?;
    is_anew(fixture)
}

fn reboots(fixture: &mut GuestFixture) -> Result<()> {
    let (_, mut other) = fixture.other_place("changes6")?;
    fixture.begins_to_move(&mut other)?;
    fixture.guest.reboots(&mut fixture.vmm, WITHIN)?;
    is_anew(fixture)
}
