// SPDX-License-Identifier: GPL-2.0

//! A guest with VFs, at work, migrates from one host to another and back, several times. Both hosts
//! run this.

use anyhow::{Result, bail};
use control::Report;
use linux::sysfs;
use protocol::{Failure, HostName, Setup, Switchover};

use super::local_host::LocalHost;
use super::migrate_under_load::ROUNDS;
use crate::host;

pub(crate) fn run(
    setup: &Setup,
    host: HostName,
    rounds: Option<u32>,
    switchover: Switchover,
    report: &mut Report,
) -> Result<()> {
    let rounds = rounds.unwrap_or(ROUNDS);
    let mut local = LocalHost::prepare(setup, host)?;
    local.part(report, "the modules are those that were chosen", |_| {
        host::has_chosen_modules(setup)
    })?;
    local.boot(report)?;
    for number in 1..=2 * rounds {
        // The guest begins on the first host.
        let leaves = local.other.is_first() == (number % 2 == 1);
        let way = if leaves { "leaves" } else { "comes" };
        let name = format!("leg {number}: the guest {way}");
        local.part(report, &name, |local| match leaves {
            true => local.give(number, switchover),
            false => local.take(switchover),
        })?;
    }
    local.end(report)
}

/// One of two hosts fails on purpose: the other one, which waits for its part, must not wait in
/// vain.
pub(crate) fn one_fails(
    setup: &Setup,
    host: HostName,
    fails: Failure,
    report: &mut Report,
) -> Result<()> {
    let mut local = LocalHost::prepare(setup, host)?;
    let is_first = local.other.is_first();
    // Neither host gets as far as to need a guest.
    local.part(report, "the guest moves", |local| match fails {
        Failure::Tells => bail!("on purpose"),
        // An emergency restart: the kernel says nothing any more.
        Failure::Dies => Ok(sysfs::write("/proc/sysrq-trigger", "b")?),
        Failure::No if is_first => local.give(1, Switchover::AtOnce),
        Failure::No => local.take(Switchover::AtOnce),
    })?;
    local.end(report)
}
