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

/// Documented forms that do not come here, and why.
const UNSEEN: [(&str, &str); 4] = [
    // KUnit: versions_have_their_names_and_others_their_number
    ("attr hardware version: <hex>", "not modelled"),
    // topology: hardware_error_of_the_pf
    ("attr registers=unknown", "the PF is not reset here"),
    // KUnit: other_values_have_no_name
    ("state Invalid", "no driver here has a state of its own"),
    ("state EINVAL", "no driver here cannot tell its state"),
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
    ensure!(files.len() == 9, "the ABI has the files {:?}", files.keys());
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
    let missing = seen.missing(&files);
    let missing: BTreeSet<&str> = missing.iter().map(String::as_str).collect();
    let mut expected: BTreeSet<&str> = UNSEEN.iter().map(|(what, _)| *what).collect();
    if !artifacts.iommufd {
        expected.insert("attr dirty tracking: driver");
    }
    ensure!(
        missing == expected,
        "documented and not seen: {missing:?}; expected {expected:?}, as {UNSEEN:?}"
    );
    Ok(())
}

#[test]
fn trace_events_are_what_is_documented() -> Result<()> {
    let events = abi::parse_events(EVENTS)?;
    ensure!(events.len() == 4, "documented are {:?}", events.keys());
    let machine = Machine::new(Scenario::Trace).driver(Driver::Rust);
    let outcome = run(&Artifacts::load()?, machine)?;
    let mut seen = Seen::default();
    for line in &outcome.dump {
        seen.take(&events, line)
            .with_context(|| outcome.control.display().to_string())?;
    }
    let missing = seen.missing(&events);
    ensure!(missing.is_empty(), "documented and not seen: {missing:?}");
    Ok(())
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
