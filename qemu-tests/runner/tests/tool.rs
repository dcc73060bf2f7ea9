// SPDX-License-Identifier: GPL-2.0

//! The operator's tool, vfio-mig, in the emulated host: what it answers agrees with what the VFs do.

#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use protocol::{Driver, Scenario};
use runner::Machine;
use runner::record::Piece;

/// Runs the scenario, and returns the moments of which it has sent the files of debugfs.
fn moments(driver: Driver) -> Result<BTreeSet<String>> {
    let outcome = common::run(Machine::new(Scenario::Tool).driver(driver))?;
    outcome.expect_clean()?;
    let pieces = outcome.dump.iter().map(|line| Piece::parse(line));
    let pieces: Vec<Piece> = pieces.collect::<Result<_>>()?;
    let states = pieces
        .iter()
        .filter(|piece| piece.path.ends_with("migration/state"));
    Ok(states.map(|piece| piece.moment.clone()).collect())
}

#[test]
fn sees_what_the_rust_driver_does() -> Result<()> {
    let moments = moments(Driver::Rust)?;
    ensure!(
        moments.iter().eq(["failed", "migrated", "mtty", "running"]),
        "{moments:?}"
    );
    Ok(())
}

#[test]
fn sees_what_the_c_driver_does() -> Result<()> {
    let moments = moments(Driver::C)?;
    ensure!(moments.iter().eq(["migrated"]), "{moments:?}");
    Ok(())
}
