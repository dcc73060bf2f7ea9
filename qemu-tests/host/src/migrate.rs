// SPDX-License-Identifier: GPL-2.0
//! `make migrate`: a guest at work moves between two QEMUs on the emulated host.

use anyhow::Result;

use crate::{Artifacts, Scenario};

/// Runs it.
pub fn run(artifacts: &Artifacts, parameters: &[String]) -> Result<()> {
    let mut scenario = Scenario::new("guest-at-work").hypervisor().within(1200);
    for parameter in parameters {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, "1"));
        scenario = scenario.with(key, value);
    }
    let outcome = scenario.run(artifacts, |line| println!("{line}"))?;
    outcome.expect_clean()
}
