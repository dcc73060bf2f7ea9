// SPDX-License-Identifier: GPL-2.0

//! Helpers of several test programs.

// Each test program uses a part of it.
#![allow(dead_code)]

use anyhow::{Result, ensure};
use runner::{Artifacts, Machine, Outcome};

pub fn run(machine: Machine) -> Result<Outcome> {
    machine.run(&Artifacts::load()?, |line| println!("{line}"))
}

/// Hardware V4 keeps the migration registers in the PF. The C driver's doorbells at the end of a
/// save miss the VF's window there, and only they do.
pub fn expect_missed_doorbells(outcome: &Outcome, accelerators: &[&str]) -> Result<()> {
    outcome.expect_passed()?;
    let violated = outcome.violated();
    let fits = violated
        .iter()
        .zip(accelerators)
        .all(|(found, id)| found.starts_with(&format!("{id} outside-window ")));
    ensure!(
        fits && violated.len() == accelerators.len(),
        "expected outside-window of {accelerators:?} alone, got {violated:?}"
    );
    Ok(())
}
