// SPDX-License-Identifier: GPL-2.0

//! Hosts unlike the usual one with two VFs that stay: VFs that cannot migrate, many VFs, and
//! devices that go away while they are used.
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

use anyhow::Result;
use control::Report;
use protocol::{Setup, TopologyItem};

pub(super) use answer::OtherVf;

/// Goes through the steps of an item.
pub(super) fn run(setup: &Setup, item: TopologyItem, report: &mut Report) -> Result<()> {
    let steps = match item {
        TopologyItem::PlainV2 => plain::hardware_v2,
        TopologyItem::PlainForeign => plain::foreign_pf,
        TopologyItem::PlainPf => plain::pf_itself,
        TopologyItem::PlainLargePages => plain::large_pages,
        TopologyItem::Many => many::many,
        TopologyItem::Together => many::together,
        TopologyItem::Departure => departure::run,
        TopologyItem::PfReset => failure::pf_reset,
        TopologyItem::HardwareError => failure::hardware_error,
        TopologyItem::BusError => failure::bus_error,
        TopologyItem::FatalBusError => failure::fatal_bus_error,
        TopologyItem::SilentVfReset => silent::reset_during_pf_reset,
        TopologyItem::SilentVfMessage => silent::message_not_taken,
    };
    steps(setup, report)
}
