// SPDX-License-Identifier: GPL-2.0

//! Guests at work migrate between two emulated Kunpeng hosts with a network between them.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use protocol::{Driver, Failure, HostName, Scenario};
use runner::migrate::{Summary, events};
use runner::{Artifacts, Outcome, Pair, two_hosts};

fn run(pair: Pair) -> Result<[Outcome; 2]> {
    pair.run(&Artifacts::load()?, |line| println!("{line}"))
}

fn run_clean(pair: Pair) -> Result<()> {
    two_hosts::judge(&run(pair)?, Outcome::expect_clean)
}

/// A guest's way to the other host and back, with these drivers and those of VFIO.
fn round_trip(drivers: [Driver; 2], vfio: [Driver; 2]) -> Result<()> {
    let rounds = Some(1);
    let pair = Pair::new(|host| Scenario::GuestBetween { host, rounds });
    let pair = pair
        .both(|host| host.within(1800))
        .drivers(drivers)
        .vfio(vfio);
    let outcomes = run(pair)?;
    two_hosts::judge(&outcomes, Outcome::expect_clean)?;
    Summary::of(&events(&outcomes)?).judge(drivers)
}

#[test]
fn migrates_to_another_host_and_back() -> Result<()> {
    round_trip([Driver::Rust; 2], [Driver::Rust; 2])
}

#[test]
fn stays_at_work_where_it_is_when_the_network_fails() -> Result<()> {
    let pair = Pair::new(|host| Scenario::GuestCutOff { host });
    run_clean(pair.both(|host| host.within(1800)))
}

/// From a host with all of Linux's own, to one with ours, and back.
#[test]
fn migrates_from_the_c_driver_and_back() -> Result<()> {
    round_trip([Driver::C, Driver::Rust], [Driver::C, Driver::Rust])
}

/// What is reported of two hosts of which some fail on purpose: of the first machine that is named,
/// and of `second`.
fn told([a, b]: [Failure; 2], second: &str) -> Result<(String, String)> {
    let pair = Pair::new(|host| Scenario::HostFails {
        host,
        fails: Some(match host {
            HostName::A => a,
            HostName::B => b,
        }),
    });
    let failed = run_clean(pair);
    let told = format!("{:#}", failed.err().context("neither has failed")?);
    let (cause, rest) = told.split_once(second).with_context(|| told.clone())?;
    Ok((cause.to_owned(), rest.to_owned()))
}

#[test]
fn a_host_ends_when_the_other_one_fails() -> Result<()> {
    let (cause, rest) = told([Failure::Tells, Failure::No], "machine b")?;
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
    let (cause, rest) = told([Failure::No, Failure::Dies], "machine a")?;
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
