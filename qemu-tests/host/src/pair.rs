// SPDX-License-Identifier: GPL-2.0
//! Two machines with a network between them, each with a scenario of its own.
//!
//! The programs in the machines agree by that network on what they do when; the test host
//! only starts both and collects what both report.

use std::thread;

use anyhow::{Result, anyhow};

use crate::{Artifacts, Outcome, Scenario};

/// The machines' names, which their programs get as `host=`.
pub const NAMES: [&str; 2] = ["a", "b"];

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Pair([Scenario; 2]);

impl Pair {
    /// The scenario of this name on two machines that can have guests.
    pub fn new(scenario: &str) -> Self {
        Self(NAMES.map(|name| Scenario::new(scenario).with("host", name).hypervisor()))
    }

    /// Does the same with both.
    pub fn both(self, change: impl Fn(Scenario) -> Scenario) -> Self {
        Self(self.0.map(change))
    }

    /// A parameter for both programs, with a value for each.
    pub fn with_each(self, key: &str, values: [&str; 2]) -> Self {
        let [first, second] = self.0;
        Self([first.with(key, values[0]), second.with(key, values[1])])
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
        let machines: [Scenario; 2] = std::array::from_fn(|n| {
            let mac = format!("52:54:00:00:00:0{}", n + 1);
            self.0[n].clone().network(&ends[n], &mac)
        });
        let show = &show;
        let outcomes = thread::scope(|scope| {
            let runs: [_; 2] = std::array::from_fn(|n| {
                let machine = &machines[n];
                let name = NAMES[n];
                scope.spawn(move || machine.run(artifacts, |line| show(&format!("{name}: {line}"))))
            });
            runs.map(|run| {
                run.join()
                    .unwrap_or_else(|_| Err(anyhow!("a machine's thread has panicked")))
            })
        });
        let [first, second] = outcomes;
        match (first, second) {
            (Err(first), Err(second)) => Err(first.context(format!("{second:#}"))),
            (first, second) => Ok([first?, second?]),
        }
    }
}
