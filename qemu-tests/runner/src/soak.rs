// SPDX-License-Identifier: GPL-2.0

//! `make soak`: a guest at work migrates for hours, with whatever is drawn.
//!
//! Machines run one after the other. What each of them does is drawn from the seed and the
//! machine's number, so that any can be had again without those before it.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use protocol::Loads;

use crate::migrate::{Summary, check, events};
use crate::options::Options;
use crate::{Artifacts, Suite};

/// Migrations to be run.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Number of the first machine.
    pub first: u64,
    /// When it is over, however many there were. What a machine has begun it does to the end.
    pub within: Option<Duration>,
    /// How many are enough.
    pub count: Option<u64>,
}

/// The totals, if nothing went wrong.
#[derive(Debug, Default)]
pub struct SoakTotals {
    machines: u64,
    migrations: u64,
    loads: Loads,
}

/// The options of a machine.
#[derive(Debug, PartialEq, Eq)]
struct MachineOptions(Vec<(String, String)>);

impl MachineOptions {
    fn of(seed: u64, machine: u64) -> Self {
        let mut random = Rng::with_seed(seed.rotate_left(32) ^ machine);
        let mut one_of = |of: &[&str]| of[random.usize(..of.len())].to_owned();
        let driver = one_of(&["rust", "rust", "c", "rust,c", "c,rust"]);
        // With the C driver QEMU takes one VF.
        let engines = match driver.as_str() {
            "rust" => one_of(&[
                "zip",
                "sec",
                "hpre",
                "zip,sec",
                "zip,hpre",
                "sec,hpre",
                "zip,sec,hpre",
            ]),
            _ => one_of(&["zip", "sec", "hpre"]),
        };
        let suites = Suite::DEBIAN.map(|suite| suite.to_string());
        let container = one_of(&["type1", "iommufd"]);
        let revision = one_of(&["V3", "V4", "V5"]);
        let qemu = one_of(&suites.each_ref().map(String::as_str));
        let cancel = match (container.as_str(), driver.as_str()) {
            ("iommufd", _) => one_of(&["no"]),
            (_, "c" | "c,rust") => one_of(&["no", "running"]),
            _ => one_of(&["no", "running", "stopped"]),
        };
        let rounds = one_of(&["1", "2", "3"]);
        // What is drawn last leaves the rest as it was for a seed.
        let hosts = match cancel.as_str() {
            "no" => one_of(&["1", "2"]),
            _ => "1".to_owned(),
        };
        let dma_logging = one_of(&["auto", "on", "off"]);
        let httu = one_of(&["off", "walks"]);
        let no_driver_logs = driver == "c" || dma_logging == "off";
        let smmu_tracks = container == "iommufd" && httu == "walks" && no_driver_logs;
        let switchover = match smmu_tracks {
            true => one_of(&["at-once", "all-sent", "default"]),
            false => one_of(&["at-once", "all-sent"]),
        };
        // QEMU 10.0 may lose interrupts with it.
        let multifd = match (qemu.as_str(), hosts.as_str()) {
            ("trixie-backports", "1") => one_of(&["no", "yes"]),
            _ => "no".to_owned(),
        };
        let parameters = [
            ("engines", engines),
            ("container", container),
            ("hosts", hosts),
            ("driver", driver),
            ("revision", revision),
            ("qemu", qemu),
            ("cancel", cancel),
            ("rounds", rounds),
            ("dma_logging", dma_logging),
            ("httu", httu),
            ("switchover", switchover),
            ("multifd", multifd),
        ];
        MachineOptions(parameters.map(|(k, v)| (k.to_owned(), v)).into())
    }

    /// Runs the machine; how often the guest migrated, and its work.
    fn run(&self, artifacts: &Artifacts, show: impl Fn(&str) + Sync) -> Result<Summary> {
        let options = Options::parse(&self.0)?;
        let outcomes = options.run(artifacts, show)?;
        let summary = Summary::of(&events(&outcomes)?);
        check(&outcomes, &summary, &options)?;
        Ok(summary)
    }
}

/// The command that does the same.
impl Display for MachineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("make migrate")?;
        let mut parameters = self.0.iter();
        parameters.try_for_each(|(key, value)| write!(f, " {}={value}", key.to_uppercase()))
    }
}

impl Soak {
    /// Runs them. The first that goes wrong ends it, and the error says how to see it again.
    pub fn run(&self, artifacts: &Artifacts) -> Result<SoakTotals> {
        let begin = Instant::now();
        let bar = match self.count {
            Some(count) => ProgressBar::new(count),
            None => ProgressBar::no_length(),
        };
        bar.set_style(ProgressStyle::with_template(
            "{elapsed} {pos}/{len} {wide_msg}",
        )?);
        bar.enable_steady_tick(Duration::from_secs(1));
        let mut all = SoakTotals::default();
        for machine in self.first.. {
            let enough = self.count.is_some_and(|count| all.migrations >= count);
            let late = self.within.is_some_and(|within| begin.elapsed() >= within);
            if enough || late {
                break;
            }
            let draw = MachineOptions::of(self.seed, machine);
            // For those who have no terminal as well, where the bar is not seen.
            bar.suspend(|| println!("machine {machine}: {draw}"));
            let show = |line: &str| bar.set_message(line.trim_start().to_owned());
            let summary = draw.run(artifacts, show).with_context(|| {
                format!(
                    "machine {machine} ({draw}), after {} migrations; again: \
                     make soak SEED={} FIRST={machine} COUNT=1",
                    all.migrations, self.seed
                )
            })?;
            all.add(&summary);
            bar.set_position(all.migrations);
            bar.suspend(|| println!("  {all}"));
        }
        bar.finish_and_clear();
        Ok(all)
    }
}

impl SoakTotals {
    fn add(&mut self, summary: &Summary) {
        self.machines += 1;
        self.migrations += summary.legs.len() as u64;
        for (engine, load) in &summary.loads {
            let all = self.loads.entry(engine.clone()).or_default();
            *all = *all + *load;
        }
    }
}

impl Display for SoakTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SoakTotals {
            machines,
            migrations,
            loads,
        } = self;
        write!(f, "{migrations} migrations on {machines} machines")?;
        for (engine, load) in loads {
            write!(f, "; {engine}: {load}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{MachineOptions, Options};

    #[test]
    fn a_machine_is_the_same_again_and_another_one_is_not() {
        assert_eq!(MachineOptions::of(7, 3), MachineOptions::of(7, 3));
        let drawn =
            |seed| (0..20).map(move |machine| MachineOptions::of(seed, machine).to_string());
        assert!(drawn(1).collect::<HashSet<_>>().len() > 15);
        assert!(drawn(1).ne(drawn(2)));
    }

    #[test]
    fn all_that_can_be_drawn_is_drawn_and_can_be_run() {
        let mut seen = HashSet::new();
        for machine in 0..500 {
            let MachineOptions(parameters) = MachineOptions::of(1, machine);
            Options::parse(&parameters).unwrap();
            seen.extend(parameters);
        }
        // Engines, containers, hosts, drivers, revisions, suites, cancellations, rounds, switchovers,
        // values of dma_logging, of httu and of multifd
        assert_eq!(seen.len(), 7 + 2 + 2 + 4 + 3 + 2 + 3 + 3 + 3 + 3 + 2 + 2);
    }

    #[test]
    fn what_is_told_is_what_make_migrate_takes() {
        let makefile = include_str!("../../../Makefile");
        let (_, given) = makefile
            .split_once("migrate-options = $(call given,")
            .unwrap();
        let (names, _) = given.split_once(')').unwrap();
        let names: HashSet<&str> = names.split(' ').collect();
        let draw = MachineOptions::of(1, 0);
        let told = draw.to_string();
        let words: Vec<&str> = told
            .strip_prefix("make migrate ")
            .unwrap()
            .split(' ')
            .collect();
        let taken = words.iter().map(|word| {
            let (name, value) = word.split_once('=').unwrap();
            assert!(names.contains(name), "{name}");
            (name.to_lowercase(), value.to_owned())
        });
        assert_eq!(draw, MachineOptions(taken.collect()));
    }
}
