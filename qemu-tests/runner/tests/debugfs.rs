// SPDX-License-Identifier: GPL-2.0

//! The debug files are what `Documentation/ABI/testing/` says, and the trace events what
//! `Documentation/trace/` says: no line, errno, mode or field that is not documented, and none
//! documented that does not come.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use protocol::{Commands, DmaLogging, Driver, Iotlb, Scenario};
use runner::abi::{self, Seen};
use runner::{Artifacts, Machine, Outcome, modules};

const DRIVER: &str = include_str!("../../../Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs");
const CORE: &str = include_str!("../../../Documentation/ABI/testing/debugfs-vfio");
const EVENTS: &str = include_str!("../../../Documentation/trace/events-hisi-acc-vfio.rst");
const CORE_EVENTS: &str = include_str!("../../../Documentation/trace/events-vfio.rst");

/// Documented forms that do not come here, and why.
const UNSEEN: [(&str, &str); 6] = [
    // KUnit: versions_have_their_names_and_others_their_number
    ("attr hardware version: <hex>", "not modelled"),
    // topology: hardware_error_of_the_pf
    ("attr registers=unknown", "the PF is not reset here"),
    // KUnit: states_that_the_uapi_does_not_define_are_numbers
    ("history <hex>", "as for the file state"),
    // KUnit: a_request_is_recorded_step_by_step
    ("history -", "every driver here reports its state"),
    // KUnit: other_values_have_no_name
    ("state Invalid", "no driver here has a state of its own"),
    ("state EINVAL", "no driver here cannot tell its state"),
];

/// The same for trace events.
const UNSEEN_EVENTS: [(&str, &str); 2] = [
    (
        "migration_arc <hex>",
        "no driver here has a state of its own",
    ),
    ("migration_arc -", "every driver here reports its state"),
];

fn run(artifacts: &Artifacts, machine: Machine) -> Result<Outcome> {
    let outcome = machine.run(artifacts, |line| println!("{line}"))?;
    outcome.expect_clean()?;
    Ok(outcome)
}

#[test]
fn r15_r16_files_are_what_the_abi_says() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let folder = tempfile::tempdir()?;
    let option = ["CONFIG_HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS=n"];
    let without = modules::build(&artifacts, folder.path(), &option)?
        .join("drivers/vfio/pci/hisi_acc_rs/hisi-acc-vfio-pci-rs.ko");

    let mut files = abi::parse(DRIVER)?;
    files.extend(abi::parse(CORE)?);
    ensure!(
        files.len() == 10,
        "the ABI has the files {:?}",
        files.keys()
    );
    let with = |commands| Machine::new(Scenario::DebugfsHisi { commands }).driver(Driver::Rust);
    let mut seen = Seen::default();
    for machine in [
        with(None).all_engines().revision(0x30),
        with(None).revision(0x50).dma_logging(DmaLogging::Off),
        with(Some(Commands::None))
            .module(&without)
            .revision(0x51)
            .dma_logging(DmaLogging::Off)
            .httu(Iotlb::Walks),
    ] {
        let outcome = run(&artifacts, machine)?;
        ensure!(!outcome.dump.is_empty(), "nothing was seen");
        for line in &outcome.dump {
            seen.take(&files, line)
                .with_context(|| outcome.control.display().to_string())?;
        }
    }
    let mut unseen = UNSEEN.to_vec();
    if !artifacts.iommufd {
        unseen.push(("attr dirty tracking: driver", "there is no DMA logging"));
    }
    ensure_missing(&seen.missing(&files), &unseen)
}

fn ensure_missing(missing: &[String], unseen: &[(&str, &str)]) -> Result<()> {
    let missing: BTreeSet<&str> = missing.iter().map(String::as_str).collect();
    let expected: BTreeSet<&str> = unseen.iter().map(|(what, _)| *what).collect();
    ensure!(
        missing == expected,
        "documented and not seen: {missing:?}; expected {unseen:?}"
    );
    Ok(())
}

#[test]
fn trace_events_are_what_is_documented() -> Result<()> {
    let mut events = abi::parse_events(EVENTS)?;
    events.extend(abi::parse_events(CORE_EVENTS)?);
    ensure!(events.len() == 5, "documented are {:?}", events.keys());
    let machine = Machine::new(Scenario::Trace).driver(Driver::Rust);
    let outcome = run(&Artifacts::load()?, machine)?;
    let mut seen = Seen::default();
    for line in &outcome.dump {
        seen.take(&events, line)
            .with_context(|| outcome.control.display().to_string())?;
    }
    ensure_missing(&seen.missing(&events), &UNSEEN_EVENTS)
}

/// VFIO core's debugfs, C and Rust, under the same sequence of operations.
mod core_debugfs {
    use super::*;

    #[test]
    fn the_rust_tree_equals_the_c_tree() -> Result<()> {
        let dump = |vfio: Driver| -> Result<Vec<String>> {
            let outcome = Machine::new(Scenario::DebugfsTree)
                .vfio(vfio)
                .run(&Artifacts::load()?, |line| println!("{line}"))?;
            outcome.expect_clean()?;
            ensure!(
                outcome.dump.len() > 20,
                "only {} lines were dumped with vfio={vfio}",
                outcome.dump.len()
            );
            Ok(outcome.dump)
        };
        let (c, mut rust) = (dump(Driver::C)?, dump(Driver::Rust)?);
        // The kernel's own has no history.
        let all = rust.len();
        rust.retain(|line| !line.contains("/migration/history"));
        ensure!(rust.len() < all, "no history was dumped");
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
