// SPDX-License-Identifier: GPL-2.0

//! Hosts unlike the usual one with two VFs that stay: VFs that cannot migrate, many VFs, and
//! devices that go away while somebody uses them.
//!
//! Both drivers go through the same steps, and the C driver is the oracle. Where ours differs on
//! purpose, the expectation is made by driver and says why.

pub(super) mod answer;
mod departure;
mod failure;
mod fixture;
mod many;
mod plain;
mod silent;

use anyhow::{Context, Result};

use crate::Options;
use crate::control::Report;

pub(super) use answer::OtherVf;

type Steps = fn(&Options, &mut Report) -> Result<()>;

const ITEMS: [(&str, Steps); 12] = [
    ("plain-v2", plain::hardware_v2),
    ("plain-foreign", plain::foreign_pf),
    ("plain-pf", plain::pf_itself),
    ("many", many::many),
    ("together", many::together),
    ("departure", departure::run),
    ("pf-reset", failure::pf_reset),
    ("hardware-error", failure::hardware_error),
    ("bus-error", failure::bus_error),
    ("fatal-bus-error", failure::fatal_bus_error),
    ("silent-vf-reset", silent::reset_during_pf_reset),
    ("silent-vf-message", silent::message_not_taken),
];

/// Goes through the steps of the item that `item=` names.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let names = ITEMS.map(|(name, _)| name);
    let wanted = options.choice("item", &names)?;
    let (_, steps) = ITEMS
        .iter()
        .find(|(name, _)| *name == wanted)
        .context("an item without steps")?;
    steps(options, report)
}
