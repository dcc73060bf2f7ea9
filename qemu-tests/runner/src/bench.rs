// SPDX-License-Identifier: GPL-2.0

//! `make bench`: what a migration costs with the C driver and with ours, in one run, on the same
//! machine and model.

mod pace;
mod table;

use anyhow::{Context, Result, ensure};
use protocol::{Driver, Measure, Rush, Scenario};

use crate::{Artifacts, Machine, Outcome};
use pace::{BOARD, PROMPT, Pace};
use table::{Both, Rows, parse};

pub use table::Report;

const DRIVERS: [Driver; 2] = [Driver::C, Driver::Rust];

/// How many VFs are saved at once.
const TOGETHER: [u32; 3] = [1, 8, MOST];
/// As many as a PF can have.
const MOST: u32 = 63;

/// Measures both drivers.
pub fn run(artifacts: &Artifacts) -> Result<Report> {
    let measured = |machine: Machine| rows(&machine.run(artifacts, show)?);
    let by_steps = |pace: &Pace, measure| {
        both(|driver| {
            let machine = steps(driver, Driver::Rust, measure);
            measured(pace.of(machine.labelled(pace.name)))
        })
    };
    // The same driver with each `vfio.ko`.
    let core = both(|vfio| {
        let machine = steps(Driver::C, vfio, Measure::Accesses);
        measured(PROMPT.of(machine.labelled(PROMPT.name)))
    })?;
    let at_once = |vfs| both(|driver| measured(BOARD.of(together(driver, vfs, None)).counted()));
    Ok(Report {
        steps: by_steps(&PROMPT, Measure::Accesses)?,
        timed: by_steps(&BOARD, Measure::Accesses)?,
        core,
        allocations: by_steps(&PROMPT, Measure::Allocations)?,
        together: (TOGETHER.into_iter())
            .map(|vfs| Ok((vfs, at_once(vfs)?)))
            .collect::<Result<_>>()?,
        // Threads get into each other's way where there is more than one CPU.
        violations: both(|driver| {
            let machine = together(driver, MOST, Some(Rush::Yes));
            let outcome = machine.run(artifacts, show)?;
            outcome.expect_passed()?;
            Ok(outcome.violated())
        })?,
    })
}

fn both<T>(measure: impl Fn(Driver) -> Result<T>) -> Result<Both<T>> {
    Ok([measure(DRIVERS[0])?, measure(DRIVERS[1])?])
}

fn show(line: &str) {
    println!("{line}");
}

/// Step by step, in instructions.
fn steps(driver: Driver, vfio: Driver, measure: Measure) -> Machine {
    let measure = Some(measure);
    let machine = Machine::new(Scenario::Bench { measure });
    machine.driver(driver).vfio(vfio).counted()
}

/// Several VFs, as many as the accelerator can have and 15 queues for each.
fn together(driver: Driver, vfs: u32, rush: Option<Rush>) -> Machine {
    Machine::new(Scenario::BenchTogether { vfs, rush })
        .driver(driver)
        .memory("3G")
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
