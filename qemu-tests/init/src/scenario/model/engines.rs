// SPDX-License-Identifier: GPL-2.0

//! The kernel's self-tests of all algorithms that the three accelerators' drivers register, and
//! some work that is compared with software's.

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report};
use protocol::Setup;
use vm::engine::{Accelerator, HPRE, SEC, ZIP};

use super::load::flawless;
use crate::crypto_check;
use crate::expect;
use crate::host;

/// Of each load generator.
const BUFFERS: u64 = 40;
/// How many algorithms the driver of each registers.
const ALGORITHMS: [(&Accelerator, usize); 3] = [(&ZIP, 2), (&SEC, 16), (&HPRE, 5)];

fn check(accelerator: &Accelerator, expected: usize) -> Result<()> {
    host::end_of_self_tests(accelerator.module)?;
    let found = host::algorithms(accelerator.module)?;
    expect::equal("number of algorithms", found.len(), expected)?;
    for (driver, result) in found {
        ensure!(result == "passed", "{driver}: self-test {result}");
    }
    let done = EmulatedDevice(accelerator.id).counter("requests_done")?;
    ensure!(
        done >= expected as u64,
        "the device did {done} requests for {expected} algorithms"
    );
    Ok(())
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    for (accelerator, expected) in ALGORITHMS {
        let name = format!("{}: {expected} algorithms", accelerator.module);
        report.point(&name, || {
            host::load(&modules, accelerator, "")?;
            check(accelerator, expected)
        });
    }
    modules.load("crypto_check")?;
    for (accelerator, _) in ALGORITHMS {
        let name = format!("{}: its work is that of software", accelerator.module);
        report.point(&name, || {
            for check in crypto_check::of(accelerator) {
                // Each run has one algorithm, drawn from the seed.
                for seed in 1..=4 {
                    let before = check.results()?;
                    check.run(BUFFERS, seed)?;
                    flawless(&(check.results()? - before), BUFFERS)
                        .with_context(|| format!("{check:?}, seed {seed}"))?;
                }
            }
            Ok(())
        });
    }
    Ok(())
}
