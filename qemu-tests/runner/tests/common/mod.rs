// SPDX-License-Identifier: GPL-2.0

//! Helpers of several test programs.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod dkms;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use runner::{Artifacts, Machine, Outcome};

/// The project's folder.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a command that has to succeed; what it prints.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// The value of one of the `name=value` lines that a recipe prints.
pub fn fact(name: &str, lines: &str) -> Result<PathBuf> {
    let mut pairs = lines.lines().filter_map(|line| line.split_once('='));
    let pair = pairs.find(|(found, _)| *found == name);
    let (_, value) = pair.with_context(|| format!("no {name}: {lines}"))?;
    Ok(value.into())
}

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
