// SPDX-License-Identifier: GPL-2.0
//! What `make test` proves on the emulated Kunpeng host. Each test boots a machine of its own.
//!
//! The order of the sections is the order of trust: the C drivers of Linux judge the
//! model, then the C VFIO driver judges the guest program that acts as the VM, then
//! our driver is judged by both.

#![forbid(unsafe_code)]

use anyhow::{Result, bail, ensure};
use runner::{Artifacts, Outcome, Scenario};

fn run(scenario: Scenario) -> Result<Outcome> {
    scenario.run(&Artifacts::load()?, |line| println!("{line}"))
}

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

/// Ids of one accelerator of each engine.
const ENGINES: [&str; 3] = ["zip0", "sec0", "hpre0"];

/// VFs of three engines, one after the other, move with requests in flight.
fn migrate_three_engines(driver: &str) -> Scenario {
    let scenario = Scenario::new("migrate").engines("zip,sec,hpre");
    scenario.with("driver", driver)
}

/// Hardware V4 keeps the migration registers in the PF. The C driver's doorbells at the end of a
/// save miss the VF's window there, and only they do.
fn expect_missed_doorbells(outcome: &Outcome, accelerators: &[&str]) -> Result<()> {
    outcome.expect_passed()?;
    let violated = outcome.violated();
    let fits = violated
        .iter()
        .zip(accelerators)
        .all(|(found, id)| found.starts_with(&format!("{id} outside-window ")));
    ensure!(
        fits && violated.len() == accelerators.len(),
        "expected outside-window of {accelerators:?} alone, got {violated:?}"
    );
    Ok(())
}

/// The unmodified crypto drivers on the model.
mod judge {
    use super::*;

    #[test]
    fn hisi_zip_probes_passes_its_self_test_and_gives_vfs() -> Result<()> {
        run(Scenario::new("judge-probe"))?.expect_clean()
    }

    /// hisi_zip maps segments of any length, though it has told the DMA API of no more than 64 KiB,
    /// which a kernel that checks the use of that API remarks once.
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
        let outcome = run(Scenario::new("judge-engines").all_engines())?;
        expect_clean_but_for_long_segments(&outcome, &Artifacts::load()?)
    }

    #[test]
    fn a_thousand_buffers_come_back_byte_exact_and_resets_recover() -> Result<()> {
        let artifacts = Artifacts::load()?;
        let mut scenario = Scenario::new("judge-load");
        // The sanitizers look at every byte: a fifth of them takes longer than all do without.
        if artifacts.debug {
            let buffers = if artifacts.kcsan { "100" } else { "200" };
            scenario = scenario.with("buffers", buffers);
        }
        expect_clean_but_for_long_segments(&run(scenario)?, &artifacts)
    }

    #[test]
    fn every_kind_of_violation_can_be_provoked() -> Result<()> {
        // It zeroes the counts when it has seen each of them go up.
        let outcome = run(Scenario::new("violations"))?;
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

/// The unmodified C VFIO driver: the oracle for the guest program.
mod oracle {
    use super::*;

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi("type1")
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi("iommufd")
    }

    #[test]
    fn migrate_type1() -> Result<()> {
        let scenario = Scenario::new("migrate").with("driver", "c");
        run(scenario.with("container", "type1"))?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let scenario = migrate_three_engines("c").with("container", "iommufd");
        run(scenario)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        let outcome = run(migrate_three_engines("c").revision(0x50))?;
        expect_missed_doorbells(&outcome, &ENGINES)
    }

    fn uapi(container: &str) -> Result<()> {
        let scenario = Scenario::new("uapi").with("driver", "c");
        let outcome = run(scenario.with("container", container))?;
        outcome.expect_passed()
    }
}

/// Our driver, by the same scenarios.
mod driver {
    use super::*;

    #[test]
    fn kunit() -> Result<()> {
        run(Scenario::new("kunit"))?.expect_clean()
    }

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi("type1")
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi("iommufd")
    }

    #[test]
    fn migrate_type1() -> Result<()> {
        let scenario = Scenario::new("migrate").with("driver", "rust");
        let scenario = scenario.with("container", "type1").with("vfio", "rust");
        run(scenario)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let scenario = migrate_three_engines("rust").with("container", "iommufd");
        run(scenario.with("vfio", "rust"))?.expect_clean()
    }

    #[test]
    fn uapi_hardware_v4() -> Result<()> {
        run(Scenario::new("uapi").with("driver", "rust").revision(0x50))?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        run(migrate_three_engines("rust").revision(0x50))?.expect_clean()
    }

    /// A guest moves between a host with the C driver and one with ours, both ways.
    #[test]
    fn migrate_from_and_to_the_c_driver() -> Result<()> {
        run(migrate_three_engines("rust").with("peer", "other"))?.expect_clean()
    }

    #[test]
    fn migrate_from_and_to_the_c_driver_hardware_v4() -> Result<()> {
        let scenario = migrate_three_engines("rust").with("peer", "other");
        expect_missed_doorbells(&run(scenario.revision(0x50))?, &ENGINES)
    }

    /// A VM with a VF of each engine; only with the P2P states, which the C driver does not have.
    #[test]
    fn migrate_a_vm_with_three_engines() -> Result<()> {
        let scenario = Scenario::new("together").with("container", "type1");
        run(scenario.all_engines())?.expect_clean()
    }

    #[test]
    fn migrate_a_vm_with_three_engines_hardware_v4() -> Result<()> {
        let scenario = Scenario::new("together").with("container", "iommufd");
        run(scenario.all_engines().revision(0x50))?.expect_clean()
    }

    /// From every driver to every driver, also between V3 and V4.
    #[test]
    fn streams_fit_what_is_compatible_and_nothing_else() -> Result<()> {
        let scenario = Scenario::new("matching").with("driver", "rust");
        let outcome = run(scenario
            .with("peer", "other")
            .accelerator("zip1", "hisi-zip")
            .accelerator("zip-of-v4", "hisi-zip,revision=0x50")
            .accelerator("zip-of-fewer-queues", "hisi-zip,total-qps=96")
            .accelerator("isolated-zip", "hisi-zip")
            .all_engines())?;
        outcome.expect_passed()?;
        expect_missed_doorbells(&outcome, &["zip-of-v4"])
    }

    #[test]
    fn demo() -> Result<()> {
        run(Scenario::new("demo"))?.expect_clean()
    }

    /// By kmemleak.
    #[test]
    fn what_was_allocated_can_be_freed() -> Result<()> {
        let scenario = Scenario::new("uapi").with("driver", "rust");
        run(scenario.with("kmemleak", "on"))?.expect_clean()
    }

    fn uapi(container: &str) -> Result<()> {
        let scenario = Scenario::new("uapi").with("driver", "rust");
        run(scenario.with("container", container).with("vfio", "rust"))?.expect_clean()
    }
}

/// VFIO core's debugfs, C and Rust, under the same sequence of operations.
mod core_debugfs {
    use super::*;

    #[test]
    fn the_rust_tree_equals_the_c_tree() -> Result<()> {
        let dump = |vfio: &str| -> Result<Vec<String>> {
            let outcome = run(Scenario::new("debugfs-tree").with("vfio", vfio))?;
            outcome.expect_clean()?;
            ensure!(
                outcome.dump.len() > 20,
                "only {} lines were dumped with vfio={vfio}",
                outcome.dump.len()
            );
            Ok(outcome.dump)
        };
        let (c, rust) = (dump("c")?, dump("rust")?);
        for (n, (c, rust)) in c.iter().zip(&rust).enumerate() {
            ensure!(c == rust, "line {}: C has `{c}`, Rust has `{rust}`", n + 1);
        }
        ensure!(
            c.len() == rust.len(),
            "C has {} lines, Rust {}",
            c.len(),
            rust.len()
        );
        Ok(())
    }
}
