// SPDX-License-Identifier: GPL-2.0

//! `make conformance`: random sequences of what userspace can do, on the C driver and on ours.
//!
//! Sequences with an even number run on hardware V3, the others on V4. A machine runs so many and
//! no more, and two machines run at a time.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use protocol::{Log, Scenario};

use crate::{Artifacts, Machine, Outcome};

/// Sequences of one machine.
const AT_ONCE: u64 = 2500;
/// In so many sequences each listed difference has to be met.
const LARGE: u64 = 2000;

/// Seconds that a sequence may take. Most take less than a tenth of one; a machine in which one of
/// the drivers loops would stand until its own limit, which is that of all its sequences.
const PATIENCE: u64 = 180;

/// Revisions of the accelerators, by the last bit of a sequence's number.
const REVISIONS: [u8; 2] = [0x30, 0x50];

/// Sequences to be run.
#[derive(Clone, Copy, Debug)]
pub struct Sequences {
    /// Seed of all.
    pub seed: u64,
    /// Number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// The result, if nothing differed but what is listed.
#[derive(Debug)]
pub struct Agreement {
    count: u64,
    /// How often each listed difference was met.
    met: BTreeMap<String, u64>,
}

impl Sequences {
    /// Runs all. An error shows what differs, or what does not end, and how to see it again.
    pub fn run(&self, artifacts: &Artifacts) -> Result<Agreement> {
        self.run_on(artifacts, |machine| machine)
    }

    /// As [`Self::run`], on machines that are changed in some way.
    pub fn run_on(
        &self,
        artifacts: &Artifacts,
        change: impl Fn(Machine) -> Machine + Sync,
    ) -> Result<Agreement> {
        let machines = Mutex::new(self.machines().into_iter());
        let next = || machines.lock().ok()?.next();
        let results = std::thread::scope(|scope| {
            let workers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut results = Vec::new();
                    while let Some(machine) = next() {
                        results.push(machine.run(artifacts, &change));
                    }
                    results
                })
            });
            workers.map(|worker| worker.join())
        });
        let mut met = BTreeMap::new();
        let mut problems = Vec::new();
        for results in results {
            let Ok(results) = results else {
                bail!("a thread panicked");
            };
            for result in results {
                if let Err(error) = result.and_then(|outcome| tally(&outcome, &mut met)) {
                    problems.push(format!("{error:#}"));
                }
            }
        }
        ensure!(problems.is_empty(), "{}", problems.join("\n"));
        if !artifacts.iommufd {
            // Neither driver can log DMA.
            met.retain(|name, times| name != "dma-logging" || *times != 0);
        }
        let agreement = Agreement {
            count: self.count,
            met,
        };
        agreement.check_list()?;
        Ok(agreement)
    }

    /// Divides the sequences among machines.
    fn machines(&self) -> Vec<Part> {
        let end = self.first + self.count;
        let mut machines = Vec::new();
        for part in (self.first..end).step_by(2 * AT_ONCE as usize) {
            for start in [part, part + 1] {
                let end = end.min(part + 2 * AT_ONCE);
                if start < end {
                    machines.push(Part {
                        seed: self.seed,
                        first: start,
                        count: (end - start).div_ceil(2),
                    });
                }
            }
        }
        machines
    }
}

/// Every second sequence from one on.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    seed: u64,
    first: u64,
    count: u64,
}

impl Part {
    fn run(&self, artifacts: &Artifacts, change: impl Fn(Machine) -> Machine) -> Result<Outcome> {
        let scenario = Scenario::Conformance {
            seed: Some(self.seed),
            first: Some(self.first),
            count: Some(self.count),
            stride: Some(2),
            log: Some(if artifacts.debug {
                Log::All
            } else {
                Log::Quiet
            }),
            stall: None,
        };
        let machine = Machine::new(scenario)
            .accelerator("zip1", "hisi-zip")
            .accelerator("sec0", "hisi-sec")
            .accelerator("sec1", "hisi-sec")
            .accelerator("hpre0", "hisi-hpre")
            .accelerator("hpre1", "hisi-hpre")
            .revision(REVISIONS[(self.first % 2) as usize])
            .counted()
            .within(600 + 2 * self.count)
            .progress_within(PATIENCE);
        change(machine).run(artifacts, |line| println!("{line}"))
    }
}

/// Adds up what a machine has met.
fn tally(outcome: &Outcome, met: &mut BTreeMap<String, u64>) -> Result<()> {
    outcome.expect_passed()?;
    for line in &outcome.dump {
        let parts = line.strip_prefix("difference ");
        let (name, times) = parts
            .and_then(|rest| rest.rsplit_once(' '))
            .with_context(|| format!("not a difference: {line}"))?;
        let times: u64 = times.parse().with_context(|| line.clone())?;
        *met.entry(name.to_string()).or_default() += times;
    }
    Ok(())
}

impl Agreement {
    /// In a large run a difference that was not met is none.
    fn check_list(&self) -> Result<()> {
        let unmet: Vec<_> = self.met.iter().filter(|(_, times)| **times == 0).collect();
        ensure!(
            self.count < LARGE || unmet.is_empty(),
            "listed and never met: {unmet:?}"
        );
        Ok(())
    }
}

impl Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "times  listed difference")?;
        for (name, times) in &self.met {
            writeln!(f, "{times:>5}  {name}")?;
        }
        writeln!(
            f,
            "conformance: ok, {} sequences differ in nothing else",
            self.count
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Sequences};

    #[test]
    fn each_sequence_runs_once_and_on_its_revision() {
        for (first, count) in [(0, 1), (7, 1), (3, 5), (1, 2 * AT_ONCE + 3)] {
            let all = Sequences {
                seed: 1,
                first,
                count,
            };
            let mut numbers: Vec<u64> = Vec::new();
            for machine in all.machines() {
                assert!(machine.count <= AT_ONCE);
                numbers.extend((0..machine.count).map(|n| machine.first + 2 * n));
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (first..first + count).collect::<Vec<_>>());
        }
    }
}
