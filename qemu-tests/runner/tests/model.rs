// SPDX-License-Identifier: GPL-2.0

//! The unmodified crypto drivers on the model. Each test boots a machine of its own.
//!
//! This is where the tests begin: the C drivers of Linux check the model, then the C VFIO driver
//! checks init, which acts as the VM (`uapi.rs`, `migration.rs`), then our driver is checked by
//! both.

#![forbid(unsafe_code)]

mod common;

use anyhow::{Result, bail, ensure};
use common::run;
use protocol::Scenario;
use runner::{Artifacts, Machine, Outcome};

/// Fails unless the kernel's log has these remarks, one of each, and nothing else is wrong.
fn expect_only(outcome: &Outcome, remarks: &[&str]) -> Result<()> {
    let known = |problem: &String| remarks.iter().any(|remark| problem.contains(remark));
    let (found, others): (Vec<_>, Vec<_>) = outcome.problems()?.into_iter().partition(known);
    ensure!(others.is_empty(), "{}", others.join("\n"));
    ensure!(
        found.len() == remarks.len(),
        "expected {remarks:?}, got {found:?}"
    );
    Ok(())
}

mod crypto_drivers {
    use super::*;

    #[test]
    fn hisi_zip_probes_passes_its_self_test_and_gives_vfs() -> Result<()> {
        run(Machine::new(Scenario::CheckProbe))?.expect_clean()
    }

    /// hisi_zip maps segments of any length, though it has declared no more than 64 KiB to the DMA
    /// API, which a kernel that checks the use of that API remarks once.
    fn expect_clean_but_for_long_segments(outcome: &Outcome, artifacts: &Artifacts) -> Result<()> {
        if !artifacts.kasan() {
            return outcome.expect_clean();
        }
        ensure!(outcome.violated().is_empty(), "{:?}", outcome.violated());
        expect_only(
            outcome,
            &[
                "mapping sg segment longer than device claims",
                "debug_dma_map_sg",
                "Call trace:",
            ],
        )
    }

    #[test]
    fn every_algorithm_of_three_engines_passes_its_self_test() -> Result<()> {
        let outcome = run(Machine::new(Scenario::CheckEngines).all_engines())?;
        expect_clean_but_for_long_segments(&outcome, &Artifacts::load()?)
    }

    #[test]
    fn a_thousand_buffers_come_back_byte_exact_and_resets_recover() -> Result<()> {
        let artifacts = Artifacts::load()?;
        // The sanitizers look at every byte: a fifth of them takes longer than all do without.
        let buffers = match (artifacts.debug, artifacts.kcsan) {
            (false, _) => None,
            (true, true) => Some(100),
            (true, false) => Some(200),
        };
        let machine = Machine::new(Scenario::CheckLoad { buffers });
        expect_clean_but_for_long_segments(&run(machine)?, &artifacts)
    }

    #[test]
    fn every_kind_of_violation_can_be_provoked() -> Result<()> {
        // It zeroes the counts when it has seen each of them go up.
        let outcome = run(Machine::new(Scenario::Violations))?;
        outcome.expect_clean()?;
        let Some((_, counts)) = outcome.violations.first() else {
            bail!("the model was not asked for its violations");
        };
        for kind in counts.as_object().into_iter().flat_map(|o| o.keys()) {
            ensure!(
                outcome.report.points().iter().any(|p| p.name == *kind),
                "nothing provokes {kind}"
            );
        }
        Ok(())
    }
}
