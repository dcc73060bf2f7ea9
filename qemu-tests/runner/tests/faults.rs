// SPDX-License-Identifier: GPL-2.0
//! Each allocation fails that is made for what userspace asks of the driver, and each access to user
//! memory, one at a time. The C driver's result is printed beside ours.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use runner::{Artifacts, Outcome, Scenario};

fn sweep(artifacts: &Artifacts, driver: &str) -> Result<Outcome> {
    let scenario = Scenario::new("faults").with("driver", driver);
    let scenario = match driver {
        // What is not freed after a fault is a fault of ours.
        "rust" => scenario.with("kmemleak", "on"),
        _ => scenario,
    };
    scenario
        .run(artifacts, |line| println!("{line}"))
        .with_context(|| format!("with driver={driver}"))
}

#[test]
fn every_fault_is_an_errno_and_nothing_more() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let c = sweep(&artifacts, "c")?;
    let ours = sweep(&artifacts, "rust")?;
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
