// SPDX-License-Identifier: GPL-2.0

//! Guests that do something else than work while they migrate: they have no driver for their VF,
//! load it, unload it, or are reset.

use anyhow::{Result, ensure};
use serde_json::json;

use super::guest_at_work::{LATENCY, WITHIN};
use super::guest_stage::{Stage, Test};
use crate::Options;
use crate::control::{self, Report};
use crate::engine::ZIP;
use crate::expect;
use crate::host::Host;
use crate::vmm::{self, Guest, Order};

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

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let host = Host::prepare(options, 2)?;
    control::set_latency(LATENCY)?;
    let mut stage = Stage::new(host, Guest::new(&[&ZIP])?.resting())?;
    stage.run(report, &TESTS);
    stage.end(report);
    control::report_violations(report, true);
    Ok(())
}

impl Stage {
    fn obeys(&mut self, order: Order) -> Result<()> {
        self.guest.obeys(&mut self.vmm, order, WITHIN)
    }

    /// The last sessions of both VFs had that many bytes, and nothing in them failed.
    fn has_sent(&self, bytes: usize) -> Result<()> {
        for vf in &self.host.vfs[..2] {
            let sessions = vmm::sessions(vf)?;
            let last = sessions.last().map_or("none", String::as_str);
            ensure!(
                last.contains(&format!(" bytes={bytes} refused=- ")),
                "{vf}: a session of {bytes} bytes was to be the last: {last}"
            );
            expect::equal("arcs that failed", vmm::failures(vf)?, Vec::new())?;
        }
        Ok(())
    }
}

fn without_driver(stage: &mut Stage) -> Result<()> {
    stage.has_driver(false)?;
    let (place, mut other) = stage.other_place("changes1")?;
    vmm::migrate(&mut stage.vmm, &mut other, WITHIN)?;
    stage.takes_over(other, place)?;
    stage.has_sent(MATCH_DATA)?;
    stage.has_driver(false)?;
    stage.obeys(Order::Work)?;
    stage.has_driver(true)
}

fn unloads(stage: &mut Stage) -> Result<()> {
    let (place, mut other) = stage.other_place("changes2")?;
    stage.begins_to_move(&mut other)?;
    stage.has_driver(true)?;
    stage.obeys(Order::Rest)?;
    stage.has_driver(false)?;
    stage.moves(other, place)?;
    // They were promised when there was a driver.
    stage.has_sent(ALL_DATA)?;
    stage.has_driver(false)?;
    stage.obeys(Order::Work)?;
    stage.has_driver(true)
}

fn loads(stage: &mut Stage) -> Result<()> {
    stage.obeys(Order::Rest)?;
    let (place, mut other) = stage.other_place("changes3")?;
    stage.begins_to_move(&mut other)?;
    stage.has_driver(false)?;
    stage.obeys(Order::Work)?;
    stage.goes_on_in("PRE_COPY")?;
    stage.moves(other, place)?;
    stage.has_sent(ALL_DATA)?;
    stage.has_driver(true)
}

fn loads_and_unloads(stage: &mut Stage) -> Result<()> {
    stage.obeys(Order::Rest)?;
    let (place, mut other) = stage.other_place("changes4")?;
    stage.begins_to_move(&mut other)?;
    stage.obeys(Order::Work)?;
    stage.goes_on_in("PRE_COPY")?;
    stage.obeys(Order::Rest)?;
    stage.moves(other, place)?;
    stage.has_sent(MATCH_DATA)?;
    stage.has_driver(false)?;
    stage.obeys(Order::Work)
}

/// The guest has been reset, which ends the session of its VF and so the migration.
fn is_anew(stage: &mut Stage) -> Result<()> {
    stage.has_failed()?;
    control::line(&format!("@show QEMU says: {}", stage.vmm.messages()));
    let sessions = vmm::sessions(stage.vf())?;
    let last = sessions.last().map_or("none", String::as_str);
    ensure!(
        last.contains(" role=save ") && !last.contains(" end=- "),
        "the reset was to end the session: {last}"
    );
    stage.guest.is_up(WITHIN)?;
    stage.obeys(Order::Work)
}

fn reset(stage: &mut Stage) -> Result<()> {
    let (_, mut other) = stage.other_place("changes5")?;
    stage.begins_to_move(&mut other)?;
    let boots = stage.guest.boots();
    stage.vmm.execute("system_reset", json!({}))?;
    stage.guest.boots_again(boots, WITHIN)?;
    is_anew(stage)
}

fn reboots(stage: &mut Stage) -> Result<()> {
    let (_, mut other) = stage.other_place("changes6")?;
    stage.begins_to_move(&mut other)?;
    stage.guest.reboots(&mut stage.vmm, WITHIN)?;
    is_anew(stage)
}
