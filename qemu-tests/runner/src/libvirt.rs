// SPDX-License-Identifier: GPL-2.0

//! `make libvirt`: what operators do with guests of libvirt, on emulated hosts with a root of Debian.

use anyhow::Result;
use protocol::{Container, Engine, Scenario};

use crate::{Artifacts, Machine, Outcome, Pair, two_hosts};

/// Libvirt asks QEMU for its capabilities first.
const WITHIN: u64 = 2400;

/// Runs the scenarios with a VF of this engine, or only that which takes so many hosts, and shows what
/// happens.
pub fn run(
    artifacts: &Artifacts,
    hosts: Option<u8>,
    engine: Engine,
    container: Container,
) -> Result<()> {
    let show = |line: &str| println!("{line}");
    let debian = |machine: Machine| {
        let machine = machine.engines([engine]).container(container);
        machine.debian().within(WITHIN)
    };
    if hosts != Some(2) {
        let machine = debian(Machine::new(Scenario::Libvirt));
        check(&[machine.run(artifacts, show)?])?;
    }
    if hosts != Some(1) {
        let pair = Pair::new(|host| Scenario::LibvirtBetween { host });
        check(&pair.both(debian).run(artifacts, show)?)?;
    }
    println!("libvirt: ok");
    Ok(())
}

/// Whether all went well; tells what was tested.
fn check(outcomes: &[Outcome]) -> Result<()> {
    outcomes.iter().for_each(Outcome::tell_points);
    let checked = two_hosts::check(outcomes, Outcome::expect_clean);
    checked.inspect_err(|_| println!("libvirt: failed"))
}
