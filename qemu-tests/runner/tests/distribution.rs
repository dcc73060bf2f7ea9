// SPDX-License-Identifier: GPL-2.0

//! What only a distribution's kernel has. `.config/nextest.toml` leaves it out with other kernels.

#![forbid(unsafe_code)]

mod common;

use anyhow::Result;
use common::run;
use protocol::Scenario;
use runner::Machine;

#[test]
fn b08_an_unsigned_vfio_ko_takes_vfio_away_and_the_stock_one_brings_it_back() -> Result<()> {
    run(Machine::new(Scenario::Signatures))?.expect_passed()
}

#[test]
fn b07_under_lockdown_the_files_can_be_read_and_debug_cannot() -> Result<()> {
    run(Machine::new(Scenario::Lockdown))?.expect_passed()
}
