// SPDX-License-Identifier: GPL-2.0
//! `make bench`: what a migration costs with the C driver and with ours, in one run, on the same
//! machine and model.

mod table;

use anyhow::{Context, Result, ensure};

use crate::{Artifacts, Outcome, Scenario};
use table::{Rows, parse};

pub use table::Report;

const DRIVERS: [&str; 2] = ["c", "rust"];

/// How many VFs are saved at once.
const TOGETHER: [u32; 3] = [1, 8, MOST];
/// As many as a PF can have.
const MOST: u32 = 63;

/// How long the device takes, in ns.
struct Pace {
    name: &'static str,
    register_ns: u64,
    mailbox_ns: u64,
}

/// Nothing is waited for, so that time is instructions.
const PROMPT: Pace = Pace {
    name: "prompt",
    register_ns: 0,
    mailbox_ns: 0,
};

/// As a board may be: a read goes to the device and back, a mailbox command makes the device read or
/// write a context in memory.
const BOARD: Pace = Pace {
    name: "board",
    register_ns: 1_000,
    mailbox_ns: 20_000,
};

impl Pace {
    fn of(&self, scenario: Scenario) -> Scenario {
        scenario
            .property("register-ns", &self.register_ns.to_string())
            .property("mailbox-ns", &self.mailbox_ns.to_string())
    }
}

/// Measures both drivers.
pub fn run(artifacts: &Artifacts) -> Result<Report> {
    let measured = |scenario: Scenario| rows(&scenario.run(artifacts, show)?);
    let by_steps = |pace: &Pace, measure| {
        both(|driver| measured(pace.of(steps(driver, measure).with("device", pace.name))))
    };
    let at_once = |vfs| both(|driver| measured(BOARD.of(together(driver, vfs)).counted()));
    Ok(Report {
        steps: by_steps(&PROMPT, "accesses")?,
        timed: by_steps(&BOARD, "accesses")?,
        allocations: by_steps(&PROMPT, "allocations")?,
        together: (TOGETHER.into_iter())
            .map(|vfs| Ok((vfs, at_once(vfs)?)))
            .collect::<Result<_>>()?,
        // Who gets into whose way is decided where there is more than one CPU.
        violations: both(|driver| {
            let scenario = together(driver, MOST).with("rush", "yes");
            let outcome = scenario.run(artifacts, show)?;
            outcome.expect_passed()?;
            Ok(outcome.violated())
        })?,
    })
}

/// The C driver's and ours.
type Both<T> = [T; DRIVERS.len()];

fn both<T>(measure: impl Fn(&str) -> Result<T>) -> Result<Both<T>> {
    Ok([measure(DRIVERS[0])?, measure(DRIVERS[1])?])
}

fn show(line: &str) {
    println!("{line}");
}

/// Step by step, in instructions. Each driver has the `vfio.ko` in its own language.
fn steps(driver: &str, measure: &str) -> Scenario {
    let scenario = Scenario::new("bench").with("driver", driver);
    let scenario = scenario.with("vfio", driver).with("measure", measure);
    scenario.counted()
}

/// Several VFs, as many as the accelerator can have and 15 queues for each.
fn together(driver: &str, vfs: u32) -> Scenario {
    let scenario = Scenario::new("bench-together").with("driver", driver);
    let scenario = scenario.with("vfs", &vfs.to_string()).memory("3G");
    scenario
        .property("total-vfs", &MOST.to_string())
        .property("total-qps", "1024")
        .within(900)
}

fn rows(outcome: &Outcome) -> Result<Rows> {
    outcome.expect_passed()?;
    let rows: Rows = (outcome.dump.iter())
        .map(|line| parse(line).with_context(|| format!("not a measurement: {line}")))
        .collect::<Result<_>>()?;
    ensure!(!rows.is_empty(), "nothing was measured");
    Ok(rows)
}
