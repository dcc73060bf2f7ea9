// SPDX-License-Identifier: GPL-2.0

//! A guest with VFs, at work, migrates from one host to another and back, several times. Both hosts
//! run this.

use anyhow::Result;

use super::guest_at_work::rounds;
use super::two_hosts::Site;
use crate::Options;
use crate::control::Report;
use crate::host;

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let rounds = rounds(options)?;
    let mut site = Site::prepare(options)?;
    site.part(report, "the modules are those that were chosen", |_| {
        host::has_chosen_modules(options)
    })?;
    site.boot(report)?;
    for number in 1..=2 * rounds {
        // The guest begins on the first host.
        let leaves = site.other.is_first() == (number % 2 == 1);
        let way = if leaves { "leaves" } else { "comes" };
        let name = format!("leg {number}: the guest {way}");
        site.part(report, &name, |site| match leaves {
            true => site.give(number),
            false => site.take(),
        })?;
    }
    site.end(report)
}
