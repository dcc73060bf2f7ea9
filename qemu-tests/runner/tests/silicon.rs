// SPDX-License-Identifier: GPL-2.0

//! Our driver on hardware that differs from the model's default, in one point at a time. `make
//! silicon` compares it with the C driver, and tries points together.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use protocol::{Driver, Engine};
use runner::Artifacts;
use runner::silicon::{BOTH_FAIL, Trial};

/// Nothing fails but what fails with the C driver, too.
fn passes(engine: Engine, revision: u8) -> Result<()> {
    let trial = Trial::of(engine, revision);
    let hardware = trial.hardware();
    let verdicts = trial.run(&Artifacts::load()?, Driver::Rust, &hardware)?;
    let mut problems = Vec::new();
    for ((hardware, load), verdict) in &verdicts {
        let known = BOTH_FAIL.contains(&(hardware.as_str(), load.as_str()));
        if let (Some(reason), false) = (verdict, known) {
            problems.push(format!("{hardware}, {load}: {reason}"));
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    for name in &hardware {
        let tried = verdicts.keys().any(|(known, _)| known == name);
        ensure!(tried, "{name} was not tried");
    }
    Ok(())
}

#[test]
fn zip_of_hardware_v3() -> Result<()> {
    passes(Engine::Zip, 0x30)
}

#[test]
fn sec_of_hardware_v4() -> Result<()> {
    passes(Engine::Sec, 0x50)
}

#[test]
fn hpre_of_hardware_v5() -> Result<()> {
    passes(Engine::Hpre, 0x51)
}
