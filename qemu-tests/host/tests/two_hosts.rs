// SPDX-License-Identifier: GPL-2.0
//! Guests at work migrate between two emulated Kunpeng hosts with a network between them.

#![forbid(unsafe_code)]

use anyhow::Result;
use host::{Artifacts, Pair};

/// A guest's way to the other host and back.
fn round_trip() -> Pair {
    Pair::new("guest-between").both(|host| host.with("rounds", "1").within(1800))
}

fn run_clean(pair: Pair) -> Result<()> {
    let outcomes = pair.run(&Artifacts::load()?, |line| println!("{line}"))?;
    outcomes
        .iter()
        .try_for_each(|outcome| outcome.expect_clean())
}

#[test]
fn migrates_to_another_host_and_back() -> Result<()> {
    run_clean(round_trip())
}

#[test]
fn stays_at_work_where_it_is_when_the_network_fails() -> Result<()> {
    run_clean(Pair::new("guest-cut-off").both(|host| host.within(1800)))
}

/// From a host with all of Linux's own, to one with ours, and back.
#[test]
fn migrates_from_the_c_driver_and_back() -> Result<()> {
    let pair = round_trip()
        .with_each("driver", ["c", "rust"])
        .with_each("vfio", ["c", "rust"]);
    run_clean(pair)
}
