// SPDX-License-Identifier: GPL-2.0

//! Two machines with a network between them, each with a scenario of its own.
//!
//! The programs in the machines agree over that network on what they do when, and notify each other
//! of failures. The runner starts both and collects what both report. A machine may fail without
//! being able to notify the other one: then the runner ends that one, which has no more to do.

use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use protocol::{Driver, HostName, Scenario};

use crate::machine::Input;
use crate::{Artifacts, Machine, Outcome};

const HOSTS: [HostName; 2] = [HostName::A, HostName::B];

/// The machines' names.
pub const NAMES: [&str; 2] = [HOSTS[0].name(), HOSTS[1].name()];

/// Two machines that are to be run.
#[derive(Clone, Debug)]
pub struct Pair([Machine; 2]);

impl Pair {
    /// A scenario for each of two machines that can have guests.
    pub fn new(scenario: impl Fn(HostName) -> Scenario) -> Self {
        Self(HOSTS.map(|host| Machine::new(scenario(host)).hypervisor()))
    }

    /// Does the same with both.
    pub fn both(self, change: impl Fn(Machine) -> Machine) -> Self {
        Self(self.0.map(change))
    }

    /// The driver of each machine's VFs.
    pub fn drivers(self, drivers: [Driver; 2]) -> Self {
        let [first, second] = self.0;
        Self([first.driver(drivers[0]), second.driver(drivers[1])])
    }

    /// Whose `vfio.ko` each machine loads.
    pub fn vfio(self, vfio: [Driver; 2]) -> Self {
        let [first, second] = self.0;
        Self([first.vfio(vfio[0]), second.vfio(vfio[1])])
    }

    /// Runs both to their end. `show` gets the lines meant for a person, with the machine's name.
    pub fn run(&self, artifacts: &Artifacts, show: impl Fn(&str) + Sync) -> Result<[Outcome; 2]> {
        let folder = tempfile::tempdir()?;
        let cable = format!("addr.type=unix,addr.path={}/cable", folder.path().display());
        // Whichever of the two is there first waits for the other.
        let ends = [
            format!("stream,server=on,{cable}"),
            format!("stream,server=off,reconnect-ms=100,{cable}"),
        ];
        let machines: [Machine; 2] = std::array::from_fn(|n| {
            let mac = format!("52:54:00:00:00:0{}", n + 1);
            self.0[n].clone().network(&ends[n], &mac)
        });
        let show = &show;
        let outcomes = thread::scope(|scope| {
            let start = |n: usize, channel, other: Sender<Input>| {
                let machine = &machines[n];
                scope.spawn(move || {
                    let name = NAMES[n];
                    let outcome = machine
                        .run_with(artifacts, channel, |line| show(&format!("{name}: {line}")));
                    if let Some(how) = how_failed(name, &outcome) {
                        // It may have ended before.
                        let _ = other.send(Input::OtherFailed(how));
                    }
                    outcome
                })
            };
            let [first, second] = [mpsc::channel(), mpsc::channel()];
            let (to_first, to_second) = (first.0.clone(), second.0.clone());
            [start(0, first, to_second), start(1, second, to_first)].map(|run| {
                run.join()
                    .unwrap_or_else(|_| Err(anyhow!("a machine's thread has panicked")))
            })
        });
        match outcomes {
            [Ok(first), Ok(second)] => Ok([first, second]),
            outcomes => {
                let named = NAMES.iter().zip(&outcomes);
                let failures = named.filter_map(|(name, outcome)| {
                    let peer_failed = outcome.as_ref().is_ok_and(|one| one.peer_failed);
                    Some((peer_failed, how_failed(name, outcome)?))
                });
                Err(anyhow!(causes_first(failures.collect())))
            }
        }
    }
}

/// A machine's name and its failure, if any.
fn how_failed(name: &str, outcome: &Result<Outcome>) -> Option<String> {
    let failure = match outcome {
        Ok(outcome) => outcome.expect_passed().err()?,
        Err(error) => return Some(format!("machine {name}: {error:#}")),
    };
    Some(format!("machine {name}: {failure:#}"))
}

/// Texts of what failed; those come first that are no consequence of others.
fn causes_first(mut failures: Vec<(bool, String)>) -> String {
    failures.sort_by_key(|(peer_failed, _)| *peer_failed);
    let texts = failures.into_iter().map(|(_, text)| text);
    texts.collect::<Vec<_>>().join("\n")
}

/// Fails with all that `each` finds wrong with the machines of a run, one or two: first with what
/// is the cause of other failures.
pub fn check(outcomes: &[Outcome], each: impl Fn(&Outcome) -> Result<()>) -> Result<()> {
    if let [alone] = outcomes {
        return each(alone);
    }
    let named = NAMES.iter().zip(outcomes);
    let failures = named.filter_map(|(name, outcome)| {
        let error = each(outcome).err()?;
        Some((outcome.peer_failed, format!("machine {name}: {error:#}")))
    });
    let failures: Vec<_> = failures.collect();
    ensure!(failures.is_empty(), "{}", causes_first(failures));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ktap;

    fn outcome(console: &Path, lines: &[&str], peer_failed: bool) -> Outcome {
        let mut report = ktap::Report::default();
        lines.iter().for_each(|line| report.line(line));
        Outcome {
            report,
            dump: Vec::new(),
            violations: Vec::new(),
            ended: true,
            peer_failed,
            console: console.to_owned(),
            control: console.to_owned(),
            guest_console: None,
        }
    }

    #[test]
    fn the_cause_is_told_first_on_whichever_machine_it_is() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let sound = || outcome(log.path(), &["ok 1 leg", "1..1"], false);
        let cause = || outcome(log.path(), &["# no VF", "not ok 1 leg", "1..1"], false);
        let caused = || outcome(log.path(), &["not ok 1 leg", "1..1"], true);
        let checked = |outcomes: [Outcome; 2]| {
            let result = check(&outcomes, Outcome::expect_passed);
            result.map_err(|error| format!("{error:#}"))
        };
        checked([sound(), sound()]).unwrap();
        for (outcomes, first, second) in [
            ([cause(), caused()], "machine a", "machine b"),
            ([caused(), cause()], "machine b", "machine a"),
        ] {
            let told = checked(outcomes).unwrap_err();
            let (cause, rest) = told.split_once(second).unwrap();
            assert!(
                cause.starts_with(first) && cause.contains("no VF"),
                "{told}"
            );
            assert!(
                rest.contains("not ok: leg") && !rest.contains("no VF"),
                "{told}"
            );
        }
        let told = checked([sound(), cause()]).unwrap_err();
        assert!(!told.contains("machine a"), "{told}");
    }
}
