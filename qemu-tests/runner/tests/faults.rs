// SPDX-License-Identifier: GPL-2.0

//! Each allocation fails that is made for what userspace asks of the driver, and each access to
//! user memory, one at a time. The C driver's result is printed beside ours.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use protocol::{Driver, Scenario};
use runner::{Artifacts, Machine, Outcome};

fn sweep(artifacts: &Artifacts, driver: Driver) -> Result<Outcome> {
    let machine = Machine::new(Scenario::Faults).driver(driver);
    let machine = match driver {
        // Memory that is not freed after a fault is our driver's mistake.
        Driver::Rust => machine.kmemleak(),
        Driver::C => machine,
    };
    machine
        .run(artifacts, |line| println!("{line}"))
        .with_context(|| format!("with driver={driver}"))
}

#[test]
fn every_fault_is_an_errno_and_nothing_more() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let c = sweep(&artifacts, Driver::C)?;
    let ours = sweep(&artifacts, Driver::Rust)?;
    let of_c: BTreeMap<_, _> = (c.dump.iter())
        .filter_map(|line| line.split_once(" | "))
        .collect();
    for line in &ours.dump {
        let (operation, found) = line.split_once(" | ").with_context(|| line.clone())?;
        let theirs = of_c.get(operation).unwrap_or(&"-");
        println!("{operation}\n  C driver: {theirs}\n  ours:     {found}");
    }
    ours.expect_clean()?;
    c.expect_passed()
}
