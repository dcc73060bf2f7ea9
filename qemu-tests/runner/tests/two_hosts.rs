// SPDX-License-Identifier: GPL-2.0
//! Guests at work migrate between two emulated Kunpeng hosts with a network between them.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use runner::migrate::{Summary, events};
use runner::{Artifacts, Outcome, Pair, two_hosts};

fn run(pair: Pair) -> Result<[Outcome; 2]> {
    pair.run(&Artifacts::load()?, |line| println!("{line}"))
}

fn run_clean(pair: Pair) -> Result<()> {
    two_hosts::judge(&run(pair)?, Outcome::expect_clean)
}

/// A guest's way to the other host and back, with these drivers and those of VFIO.
fn round_trip(drivers: [&str; 2], vfio: [&str; 2]) -> Result<()> {
    let pair = Pair::new("guest-between").both(|host| host.with("rounds", "1").within(1800));
    let pair = pair.with_each("driver", drivers).with_each("vfio", vfio);
    let outcomes = run(pair)?;
    two_hosts::judge(&outcomes, Outcome::expect_clean)?;
    Summary::of(&events(&outcomes)?).judge(drivers)
}

#[test]
fn migrates_to_another_host_and_back() -> Result<()> {
    round_trip(["rust"; 2], ["rust"; 2])
}

#[test]
fn stays_at_work_where_it_is_when_the_network_fails() -> Result<()> {
    run_clean(Pair::new("guest-cut-off").both(|host| host.within(1800)))
}

/// From a host with all of Linux's own, to one with ours, and back.
#[test]
fn migrates_from_the_c_driver_and_back() -> Result<()> {
    round_trip(["c", "rust"], ["c", "rust"])
}

/// What is told of two hosts of which some fail on purpose: of the first machine that is named, and
/// of `second`.
fn told(fails: [&str; 2], second: &str) -> Result<(String, String)> {
    let pair = Pair::new("host-fails").with_each("fails", fails);
    let failed = run_clean(pair);
    let told = format!("{:#}", failed.err().context("neither has failed")?);
    let (cause, rest) = told.split_once(second).with_context(|| told.clone())?;
    Ok((cause.to_owned(), rest.to_owned()))
}

#[test]
fn a_host_ends_when_the_other_one_fails() -> Result<()> {
    let (cause, rest) = told(["tells", "no"], "machine b")?;
    let expected = "machine a: bailed out";
    ensure!(
        cause.starts_with(expected) && cause.contains("on purpose"),
        "{cause}"
    );
    let expected = "the other host has failed: the guest moves: on purpose";
    ensure!(rest.contains(expected), "{rest}");
    Ok(())
}

/// Nothing in its network says so.
#[test]
fn a_host_ends_when_the_other_one_dies() -> Result<()> {
    let (cause, rest) = told(["no", "dies"], "machine a")?;
    let expected = "the machine stopped before its scenario ended";
    ensure!(
        cause.starts_with("machine b") && cause.contains(expected),
        "{cause}"
    );
    ensure!(
        rest.contains(expected) && rest.contains("machine b"),
        "{rest}"
    );
    Ok(())
}
