// SPDX-License-Identifier: GPL-2.0

//! `make migrate`: a guest at work moves from one QEMU to another and back, on the emulated host or
//! between two of them.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use anyhow::{Context, Result, ensure};
use protocol::{Driver, Event, Loads, MigrationRecord, What};

use crate::options::Options;
use crate::{Artifacts, Outcome, timeline_svg, two_hosts};

/// One of the figures of a migration.
type Figure = fn(&MigrationRecord) -> u64;

/// The results of a run.
pub struct Summary {
    /// The guest's migrations.
    pub legs: Vec<MigrationRecord>,
    /// The guest's last report.
    pub loads: Loads,
    /// The VFs whose driver keeps a history, as ours does.
    pub histories: BTreeSet<String>,
}

/// Runs each, shows what happens and what came out. Of several, compares the figures.
pub fn run(artifacts: &Artifacts, ways: &[(&str, Options)]) -> Result<()> {
    let mut rows = Vec::new();
    for (name, options) in ways {
        if ways.len() > 1 {
            println!("\n{name}:");
        }
        rows.push((*name, run_one(artifacts, options)?));
    }
    if let [(_, type1), .., (_, httu)] = rows.as_slice() {
        println!("\na millisecond of each machine is a million instructions of its CPU");
        print!("{}", Comparison(&rows));
        gains(type1, httu).inspect_err(|_| println!("migrate: failed"))?;
    }
    println!("migrate: ok");
    Ok(())
}

/// Medians of runs that differ in how dirty pages become known.
struct Comparison<'r>(&'r [(&'r str, Summary)]);

impl Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "medians                downtime ms  KiB in it  passes  requests meanwhile"
        )?;
        for (name, summary) in self.0 {
            writeln!(
                f,
                "{name:<22}{:>12}{:>11}{:>8}{:>20}",
                summary.median(|leg| leg.downtime),
                summary.median(|leg| leg.downtime_bytes) >> 10,
                summary.median(|leg| leg.passes),
                summary.median(|leg| leg.requests),
            )?;
        }
        Ok(())
    }
}

/// Fails if an IOMMU that tracks dirty pages does not spare the guest most of what it stands still
/// for without.
fn gains(type1: &Summary, httu: &Summary) -> Result<()> {
    let limits: [(&str, Figure, u64); 2] = [
        ("the downtime", |leg| leg.downtime, 4),
        ("the bytes in it", |leg| leg.downtime_bytes, 20),
    ];
    for (what, figure, share) in limits {
        let [before, now] = [type1, httu].map(|summary| summary.median(figure));
        ensure!(
            now * share <= before,
            "{what} was to be at most 1/{share} of {before}, and is {now}"
        );
    }
    Ok(())
}

fn run_one(artifacts: &Artifacts, options: &Options) -> Result<Summary> {
    let outcomes = options.run(artifacts, |line| println!("{line}"))?;
    let events = events(&outcomes)?;
    let summary = Summary::of(&events);
    println!("\n{summary}");
    if let Some(document) = timeline_svg::draw(&events) {
        let path = artifacts.out.join("migrate.svg");
        svg::save(&path, &document).with_context(|| format!("cannot write {}", path.display()))?;
        println!("as a picture: {}", path.display());
    }
    check(&outcomes, &summary, options).inspect_err(|_| println!("migrate: failed"))?;
    println!("no complaint in the kernel logs of hosts and guest");
    let violated: Vec<String> = outcomes.iter().flat_map(Outcome::violated).collect();
    println!(
        "violations of the model: {}",
        match violated.as_slice() {
            [] => "none".to_owned(),
            some => some.join(", "),
        }
    );
    Ok(summary)
}

/// Whether all went well. Of the C driver, the scenario itself knows what it does to the model.
pub fn check(outcomes: &[Outcome], summary: &Summary, options: &Options) -> Result<()> {
    two_hosts::check(outcomes, |outcome| match options.has_c() {
        true => outcome.expect_passed(),
        false => outcome.expect_clean(),
    })?;
    summary.check(options.drivers())
}

/// The events of a run, as the machine or the two reported them.
pub fn events(outcomes: &[Outcome]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for (n, outcome) in outcomes.iter().enumerate() {
        for line in &outcome.dump {
            let event: Event =
                serde_json::from_str(line).with_context(|| format!("no event: {line}"))?;
            events.push(match outcomes.len() {
                1 => event,
                _ => event.on(two_hosts::NAMES[n], two_hosts::NAMES[1 - n]),
            });
        }
    }
    // Each is reported as soon as it is seen, by several threads.
    events.sort_by_key(|event| event.at);
    Ok(events)
}

impl Summary {
    /// From the events of a run.
    pub fn of(events: &[Event]) -> Self {
        let mut summary = Summary {
            legs: Vec::new(),
            loads: Loads::new(),
            histories: BTreeSet::new(),
        };
        for event in events {
            match &event.what {
                What::Migration(leg) => summary.legs.push(leg.clone()),
                What::Load { engines } => summary.loads.clone_from(engines),
                What::History { vf, .. } => drop(summary.histories.insert(vf.clone())),
                _ => {}
            }
        }
        summary
    }

    /// The median of a figure of the migrations; 0 if there was none.
    fn median(&self, figure: Figure) -> u64 {
        let mut figures: Vec<u64> = self.legs.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    /// Whether the guest worked without a fault, and went from a place with the first of these
    /// drivers to one with the second, and back, as often as it did.
    pub fn check(&self, drivers: [Driver; 2]) -> Result<()> {
        ensure!(!self.loads.is_empty(), "the guest has not worked");
        for (engine, load) in &self.loads {
            ensure!(
                load.done > 0 && load.is_flawless(),
                "the guest's requests of {engine}: {load}"
            );
        }
        let first = self.legs.first().context("the guest has not moved")?;
        let places = [&first.from, &first.to];
        for (leg, number) in self.legs.iter().zip(1..) {
            let [from, to] = match number % 2 {
                1 => [places[0], places[1]],
                _ => [places[1], places[0]],
            };
            ensure!(
                leg.pages_compared > 0 && leg.pages_differing == 0,
                "pages that the VFs wrote must be at the destination: {leg:?}"
            );
            ensure!(
                (leg.number, &leg.from, &leg.to) == (number, from, to),
                "leg {number} was to be from {from} to {to}: {leg:?}"
            );
        }
        ensure!(self.legs.len() % 2 == 0, "the guest has not come back");
        for (place, driver) in places.into_iter().zip(drivers) {
            let told = self.histories.iter().any(|vf| is_of(vf, place));
            ensure!(
                told == driver.is_rust(),
                "{place} was to have the {driver} driver; these have ours: {:?}",
                self.histories
            );
        }
        Ok(())
    }
}

/// Whether that is one of the VFs there; with two hosts, both begin with the host's name.
fn is_of(vf: &str, place: &str) -> bool {
    vf.split(' ')
        .all(|word| place.split(' ').any(|known| known == word))
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |of: fn(&MigrationRecord) -> usize| self.legs.iter().map(of).max().unwrap_or(0);
        let (from, to) = (wide(|leg| leg.from.len()), wide(|leg| leg.to.len()));
        writeln!(
            f,
            "leg  {:<from$}  {:<to$} downtime ms  KiB in it   total ms   sent KiB  passes  VFs, bytes  \
             requests  VFs, pages  differ",
            "from", "to"
        )?;
        for leg in &self.legs {
            writeln!(
                f,
                "{:>3}  {:<from$}  {:<to$}{:>12}{:>11}{:>11}{:>11}{:>8}{:>12}{:>10}{:>12}{:>8}",
                leg.number,
                leg.from,
                leg.to,
                leg.downtime,
                leg.downtime_bytes >> 10,
                leg.total,
                leg.transferred >> 10,
                leg.passes,
                leg.device_state,
                leg.requests,
                leg.pages_compared,
                leg.pages_differing,
            )?;
        }
        for (engine, load) in &self.loads {
            writeln!(f, "requests of {engine}: {load}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use Driver::{C, Rust};
    use protocol::Load;

    use super::*;

    /// From host a, with the C driver, to host b, and back.
    fn summary() -> Summary {
        let places = ["a 0000:01:00.1 0000:02:00.1", "b 0000:01:00.1 0000:02:00.1"];
        let leg = |number, [from, to]: [&str; 2]| MigrationRecord {
            number,
            from: from.to_owned(),
            to: to.to_owned(),
            downtime: 1,
            total: 2,
            transferred: 3,
            device_state: 4,
            downtime_bytes: 6,
            passes: 7,
            requests: 5,
            pages_compared: 8,
            pages_differing: 0,
        };
        let load = Load {
            done: 10,
            ..Load::default()
        };
        Summary {
            legs: vec![leg(1, places), leg(2, [places[1], places[0]])],
            loads: Loads::from([("zip".to_owned(), load)]),
            histories: BTreeSet::from(["b 0000:02:00.1".to_owned()]),
        }
    }

    #[test]
    fn an_iommu_that_tracks_must_spare_the_guest_enough() {
        let with = |downtime, downtime_bytes| {
            let mut summary = summary();
            for leg in &mut summary.legs {
                (leg.downtime, leg.downtime_bytes) = (downtime, downtime_bytes);
            }
            summary
        };
        let type1 = with(100, 1000);
        gains(&type1, &with(25, 50)).unwrap();
        gains(&type1, &with(26, 50)).unwrap_err();
        gains(&type1, &with(25, 51)).unwrap_err();
    }

    #[test]
    fn a_run_is_checked_by_what_both_hosts_tell() {
        summary().check([C, Rust]).unwrap();
        for drivers in [[Rust, Rust], [C, C], [Rust, C]] {
            summary().check(drivers).unwrap_err();
        }
        let wrongs: [fn(&mut Summary); 7] = [
            |summary| summary.legs[0].pages_compared = 0,
            |summary| summary.legs[1].pages_differing = 1,
            |summary| drop(summary.legs.remove(0)),
            |summary| drop(summary.legs.remove(1)),
            |summary| summary.legs.swap(0, 1),
            |summary| summary.legs[1].to = "a 0000:01:00.2".to_owned(),
            |summary| summary.loads.clear(),
        ];
        for wrong in wrongs {
            let mut summary = summary();
            wrong(&mut summary);
            summary.check([C, Rust]).unwrap_err();
        }
    }
}
