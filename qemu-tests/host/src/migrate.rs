// SPDX-License-Identifier: GPL-2.0
//! `make migrate`: a guest at work moves from one QEMU to another and back, on the emulated host or
//! between two of them.

use std::fmt::{self, Display};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use timeline::{Event, Leg, Loads, What};

use crate::{Artifacts, Outcome, Pair, Scenario, pair, picture};

/// What came out.
struct Summary {
    legs: Vec<Leg>,
    /// The guest's last report.
    loads: Loads,
    /// Where it is drawn.
    picture: Option<PathBuf>,
}

/// How long it may take, in seconds.
const WITHIN: u64 = 3600;

/// Runs it, shows what happens and what came out. The parameters are the scenario's, `key=value`;
/// with `hosts=2`, `driver=c,rust` gives each host a driver of its own.
pub fn run(artifacts: &Artifacts, parameters: &[String]) -> Result<()> {
    let mut hosts = "1";
    let mut others = Vec::new();
    for parameter in parameters {
        match parameter.split_once('=').unwrap_or((parameter, "1")) {
            ("hosts", number) => hosts = number,
            other => others.push(other),
        }
    }
    let show = |line: &str| println!("{line}");
    let outcomes = match hosts {
        "1" => vec![on_one_host(&others).run(artifacts, show)?],
        "2" => between_two_hosts(&others).run(artifacts, show)?.into(),
        number => bail!("hosts={number}; there are: 1, 2"),
    };
    let events = events(&outcomes)?;
    let mut summary = Summary::of(&events);
    if let Some(document) = picture::draw(&events) {
        let path = artifacts.out.join("migrate.svg");
        svg::save(&path, &document).with_context(|| format!("cannot write {}", path.display()))?;
        summary.picture = Some(path);
    }
    println!("\n{summary}");
    judge(&outcomes, &summary).inspect_err(|_| println!("migrate: failed"))?;
    println!("no complaint in the kernel logs of host and guest, no violation in the model");
    println!("migrate: ok");
    Ok(())
}

fn on_one_host(parameters: &[(&str, &str)]) -> Scenario {
    let scenario = Scenario::new("guest-at-work").hypervisor().within(WITHIN);
    parameters.iter().fold(scenario, with)
}

fn between_two_hosts(parameters: &[(&str, &str)]) -> Pair {
    let pair = Pair::new("guest-between").both(|host| host.within(WITHIN));
    parameters
        .iter()
        .fold(pair, |pair, (key, value)| match value.split_once(',') {
            Some((first, second)) if *key != "engines" => pair.with_each(key, [first, second]),
            _ => pair.both(|host| with(host, &(key, value))),
        })
}

fn with(scenario: Scenario, (key, value): &(&str, &str)) -> Scenario {
    match *key {
        "engines" => scenario.engines(value),
        _ => scenario.with(key, value),
    }
}

fn judge(outcomes: &[Outcome], summary: &Summary) -> Result<()> {
    outcomes.iter().try_for_each(Outcome::expect_clean)?;
    ensure!(!summary.legs.is_empty(), "the guest has not moved");
    ensure!(!summary.loads.is_empty(), "the guest has not worked");
    for (engine, load) in &summary.loads {
        ensure!(
            load.done > 0 && load.is_flawless(),
            "the guest's requests of {engine}: {load}"
        );
    }
    Ok(())
}

/// The events of a run, as the machine told them, or the two.
pub fn events(outcomes: &[Outcome]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for (n, outcome) in outcomes.iter().enumerate() {
        for line in &outcome.dump {
            let event: Event =
                serde_json::from_str(line).with_context(|| format!("no event: {line}"))?;
            events.push(match outcomes.len() {
                1 => event,
                _ => event.on(pair::NAMES[n], pair::NAMES[1 - n]),
            });
        }
    }
    // Each is told as soon as it is seen, by several threads.
    events.sort_by_key(|event| event.at);
    Ok(events)
}

impl Summary {
    fn of(events: &[Event]) -> Self {
        let mut summary = Summary {
            legs: Vec::new(),
            loads: Loads::new(),
            picture: None,
        };
        for event in events {
            match &event.what {
                What::Leg(leg) => summary.legs.push(leg.clone()),
                What::Load { engines } => summary.loads.clone_from(engines),
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
        for (engine, load) in &self.loads {
            writeln!(f, "requests of {engine}: {load}")?;
        }
        if let Some(path) = &self.picture {
            writeln!(f, "as a picture: {}", path.display())?;
        }
        Ok(())
    }
}
