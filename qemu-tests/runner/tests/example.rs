// SPDX-License-Identifier: GPL-2.0
//! The example of a variant driver, `samples/vfio-rust/`, on two of QEMU's own devices.

#![forbid(unsafe_code)]

use anyhow::Result;
use runner::{Artifacts, Scenario};

fn run(container: &str) -> Result<()> {
    Scenario::new("example")
        .with("container", container)
        .function("edu")
        .function("edu")
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

#[test]
fn edu_migrates_type1() -> Result<()> {
    run("type1")
}

#[test]
fn edu_migrates_iommufd() -> Result<()> {
    run("iommufd")
}
