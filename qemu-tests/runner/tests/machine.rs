// SPDX-License-Identifier: GPL-2.0

//! What `make test` proves on the emulated Kunpeng host. Each test boots a machine of its own.
//!
//! The order of the sections is the order of trust: the C drivers of Linux judge the
//! model, then the C VFIO driver judges init, which acts as the VM, then
//! our driver is judged by both.

#![forbid(unsafe_code)]

use anyhow::{Result, bail, ensure};
use protocol::{Container, Driver, Engine, Peer, Scenario};
use runner::{Artifacts, Machine, Outcome};

fn run(machine: Machine) -> Result<Outcome> {
    machine.run(&Artifacts::load()?, |line| println!("{line}"))
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
fn migrate_three_engines(driver: Driver) -> Machine {
    let machine = Machine::new(Scenario::Migrate { seed: None });
    machine
        .engines([Engine::Zip, Engine::Sec, Engine::Hpre])
        .driver(driver)
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
        run(Machine::new(Scenario::JudgeProbe))?.expect_clean()
    }

    /// hisi_zip maps segments of any length, though it has declared no more than 64 KiB to the DMA API,
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
        let outcome = run(Machine::new(Scenario::JudgeEngines).all_engines())?;
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
        let machine = Machine::new(Scenario::JudgeLoad { buffers });
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

/// The unmodified C VFIO driver: the oracle for init.
mod oracle {
    use super::*;

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi(Container::Type1)
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi(Container::Iommufd)
    }

    #[test]
    fn migrate_type1() -> Result<()> {
        let machine = Machine::new(Scenario::Migrate { seed: None }).driver(Driver::C);
        run(machine.container(Container::Type1))?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let machine = migrate_three_engines(Driver::C).container(Container::Iommufd);
        run(machine)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        let outcome = run(migrate_three_engines(Driver::C).revision(0x50))?;
        expect_missed_doorbells(&outcome, &ENGINES)
    }

    fn uapi(container: Container) -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::C);
        let outcome = run(machine.container(container))?;
        outcome.expect_passed()
    }
}

/// Our driver, by the same scenarios.
mod driver {
    use super::*;

    #[test]
    fn kunit() -> Result<()> {
        run(Machine::new(Scenario::Kunit))?.expect_clean()
    }

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi(Container::Type1)
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi(Container::Iommufd)
    }

    #[test]
    fn migrate_type1() -> Result<()> {
        let machine = Machine::new(Scenario::Migrate { seed: None }).driver(Driver::Rust);
        let machine = machine.container(Container::Type1).vfio(Driver::Rust);
        run(machine)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let machine = migrate_three_engines(Driver::Rust).container(Container::Iommufd);
        run(machine.vfio(Driver::Rust))?.expect_clean()
    }

    #[test]
    fn uapi_hardware_v4() -> Result<()> {
        run(Machine::new(Scenario::Uapi)
            .driver(Driver::Rust)
            .revision(0x50))?
        .expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        run(migrate_three_engines(Driver::Rust).revision(0x50))?.expect_clean()
    }

    /// A guest moves between a host with the C driver and one with ours, both ways.
    #[test]
    fn migrate_from_and_to_the_c_driver() -> Result<()> {
        run(migrate_three_engines(Driver::Rust).peer(Peer::Other))?.expect_clean()
    }

    #[test]
    fn migrate_from_and_to_the_c_driver_hardware_v4() -> Result<()> {
        let machine = migrate_three_engines(Driver::Rust).peer(Peer::Other);
        expect_missed_doorbells(&run(machine.revision(0x50))?, &ENGINES)
    }

    /// A VM with a VF of each engine; only with the P2P states, which the C driver does not have.
    #[test]
    fn migrate_a_vm_with_three_engines() -> Result<()> {
        let machine = Machine::new(Scenario::Together).container(Container::Type1);
        run(machine.all_engines())?.expect_clean()
    }

    #[test]
    fn migrate_a_vm_with_three_engines_hardware_v4() -> Result<()> {
        let machine = Machine::new(Scenario::Together).container(Container::Iommufd);
        run(machine.all_engines().revision(0x50))?.expect_clean()
    }

    /// From every driver to every driver, also between V3 and V4.
    #[test]
    fn streams_fit_what_is_compatible_and_nothing_else() -> Result<()> {
        let machine = Machine::new(Scenario::Matching).driver(Driver::Rust);
        let outcome = run(machine
            .peer(Peer::Other)
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
        run(Machine::new(Scenario::Demo))?.expect_clean()
    }

    /// By kmemleak.
    #[test]
    fn what_was_allocated_can_be_freed() -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::Rust);
        run(machine.kmemleak())?.expect_clean()
    }

    fn uapi(container: Container) -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::Rust);
        run(machine.container(container).vfio(Driver::Rust))?.expect_clean()
    }
}

/// VFIO core's debugfs, C and Rust, under the same sequence of operations.
mod core_debugfs {
    use super::*;

    #[test]
    fn the_rust_tree_equals_the_c_tree() -> Result<()> {
        let dump = |vfio: Driver| -> Result<Vec<String>> {
            let outcome = run(Machine::new(Scenario::DebugfsTree).vfio(vfio))?;
            outcome.expect_clean()?;
            ensure!(
                outcome.dump.len() > 20,
                "only {} lines were dumped with vfio={vfio}",
                outcome.dump.len()
            );
            Ok(outcome.dump)
        };
        let (c, rust) = (dump(Driver::C)?, dump(Driver::Rust)?);
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
