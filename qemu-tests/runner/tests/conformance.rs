// SPDX-License-Identifier: GPL-2.0

//! Random sequences of what userspace can do: the C driver and ours differ in what is listed and in
//! nothing else. `make conformance N=<number>` runs more of them, `SEED=` others.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use protocol::Scenario;
use runner::Artifacts;
use runner::conformance::Sequences;

#[test]
fn random_sequences_agree_with_the_c_driver() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let all = Sequences {
        seed: 1,
        first: 0,
        // What looks at every access takes as long for a part of them.
        count: if artifacts.debug { 100 } else { 2000 },
    };
    print!("{}", all.run(&artifacts)?);
    Ok(())
}

/// One of the two machines stands still at its second sequence; the other one runs to its end.
#[test]
fn a_sequence_that_never_ends_is_named() -> Result<()> {
    let all = Sequences {
        seed: 3,
        first: 10,
        count: 4,
    };
    let stalls = all.run_on(&Artifacts::load()?, |mut machine| {
        if let Scenario::Conformance { stall, .. } = machine.scenario_mut() {
            *stall = Some(12);
        }
        machine.progress_within(20)
    });
    let error = format!("{:#}", stalls.err().context("all of them end")?);
    for part in [
        "conformance-rev30-3-10-2-",
        "no progress in",
        "seed 3, sequence 12 (make conformance SEED=3 FIRST=12 N=1)",
    ] {
        ensure!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    let other = "conformance-rev50-";
    ensure!(!error.contains(other), "{other:?} is in:\n{error}");
    Ok(())
}
