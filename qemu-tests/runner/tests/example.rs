// SPDX-License-Identifier: GPL-2.0

//! The example of a variant driver, `samples/vfio-rust/`, on two of QEMU's own devices.

#![forbid(unsafe_code)]

use anyhow::Result;
use protocol::{Container, Scenario};
use runner::{Artifacts, Machine};

fn run(container: Container) -> Result<()> {
    Machine::new(Scenario::Example)
        .container(container)
        .function("edu")
        .function("edu")
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

#[test]
fn edu_migrates_type1() -> Result<()> {
    run(Container::Type1)
}

#[test]
fn edu_migrates_iommufd() -> Result<()> {
    run(Container::Iommufd)
}
