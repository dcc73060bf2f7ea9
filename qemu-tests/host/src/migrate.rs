// SPDX-License-Identifier: GPL-2.0
//! `make migrate`: a guest at work moves from one QEMU to another and back, on the emulated host.

use std::fmt::{self, Display};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use timeline::{Event, Leg, Load, What};

use crate::{Artifacts, Outcome, Scenario, picture};

/// What came out.
struct Summary {
    legs: Vec<Leg>,
    /// The guest's last report.
    load: Load,
    /// Where it is drawn.
    picture: Option<PathBuf>,
}

/// Runs it, shows what happens and what came out.
pub fn run(artifacts: &Artifacts, parameters: &[String]) -> Result<()> {
    let mut scenario = Scenario::new("guest-at-work").hypervisor().within(3600);
    for parameter in parameters {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, "1"));
        scenario = scenario.with(key, value);
        if (key, value) == ("engine", "all") {
            scenario = scenario.all_engines();
        }
    }
    let outcome = scenario.run(artifacts, |line| println!("{line}"))?;
    let events = events(&outcome)?;
    let mut summary = Summary::of(&events);
    if let Some(document) = picture::draw(&events) {
        let path = artifacts.out.join("migrate.svg");
        svg::save(&path, &document).with_context(|| format!("cannot write {}", path.display()))?;
        summary.picture = Some(path);
    }
    println!("\n{summary}");
    judge(&outcome, &summary).inspect_err(|_| println!("migrate: failed"))?;
    println!("no complaint in the kernel logs of host and guest, no violation in the model");
    println!("migrate: ok");
    Ok(())
}

fn judge(outcome: &Outcome, summary: &Summary) -> Result<()> {
    outcome.expect_clean()?;
    ensure!(!summary.legs.is_empty(), "the guest has not moved");
    ensure!(
        summary.load.done > 0 && summary.load.is_flawless(),
        "the guest's work: {:?}",
        summary.load
    );
    Ok(())
}

/// The events of a run, as the machine told them.
pub fn events(outcome: &Outcome) -> Result<Vec<Event>> {
    let mut events: Vec<Event> = outcome
        .dump
        .iter()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no event: {line}")))
        .collect::<Result<_>>()?;
    // Each is told as soon as it is seen, by several threads.
    events.sort_by_key(|event| event.at);
    Ok(events)
}

impl Summary {
    fn of(events: &[Event]) -> Self {
        let mut summary = Summary {
            legs: Vec::new(),
            load: Load::default(),
            picture: None,
        };
        for event in events {
            match &event.what {
                What::Leg(leg) => summary.legs.push(leg.clone()),
                What::Load(load) => summary.load = *load,
                _ => {}
            }
        }
        summary
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |of: fn(&Leg) -> usize| self.legs.iter().map(of).max().unwrap_or(0);
        let (from, to) = (wide(|leg| leg.from.len()), wide(|leg| leg.to.len()));
        writeln!(
            f,
            "leg  {:<from$}  {:<to$} downtime ms   total ms   sent KiB  VFs, bytes  requests",
            "from", "to"
        )?;
        for leg in &self.legs {
            writeln!(
                f,
                "{:>3}  {:<from$}  {:<to$}{:>12}{:>11}{:>11}{:>12}{:>10}",
                leg.number,
                leg.from,
                leg.to,
                leg.downtime,
                leg.total,
                leg.transferred >> 10,
                leg.device_state,
                leg.requests
            )?;
        }
        let Load {
            done,
            failed,
            corrupted,
            lost,
        } = self.load;
        writeln!(
            f,
            "the guest's requests: {done} done, {lost} lost, {failed} failed, {corrupted} corrupted"
        )?;
        if let Some(path) = &self.picture {
            writeln!(f, "as a picture: {}", path.display())?;
        }
        Ok(())
    }
}
