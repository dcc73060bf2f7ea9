// SPDX-License-Identifier: GPL-2.0

//! What is in the modules that are built outside of the kernel tree: nothing more is
//! exported than the kernel's own exports, and KCSAN sees what it can see.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use runner::{Artifacts, Symbols, modules};

#[test]
fn r05_vfio_exports_what_the_kernels_own_does() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let folder = tempfile::tempdir()?;
    let built = modules::build(&artifacts, folder.path(), &[])?;
    let ours = Symbols::of(&built.join("drivers/vfio/core_debugfs/vfio.ko"))?;
    let theirs = Symbols::of(&artifacts.kernel.join("drivers/vfio/vfio.ko"))?;
    ensure!(ours.has_rust(), "this vfio.ko has no Rust in it");
    let (ours, theirs) = (ours.exports(), theirs.exports());
    ensure!(!theirs.is_empty(), "the kernel's exports nothing");
    ensure!(ours == theirs, "ours {ours:?}, the kernel's {theirs:?}");
    Ok(())
}

/// What the history of requests consists of in an object.
fn of_the_history(symbols: &Symbols) -> Vec<&String> {
    let all = symbols.defined.union(&symbols.needed);
    let parts = ["vfio_history", "7history", "migration_arc"];
    all.filter(|name| parts.iter().any(|part| name.contains(part)))
        .collect()
}

#[test]
fn without_the_option_there_is_no_history() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let core = |option: &str| -> Result<(Symbols, bool)> {
        let folder = tempfile::tempdir()?;
        let option = format!("CONFIG_VFIO_DEBUGFS_HISTORY={option}");
        let options = ["CONFIG_HISI_ACC_VFIO_PCI_RS=n", &option];
        let built = modules::build(&artifacts, folder.path(), &options)?;
        let folder = built.join("drivers/vfio/core_debugfs");
        let symbols = Symbols::of(&folder.join("vfio.ko"))?;
        Ok((symbols, folder.join("patched").exists()))
    };
    let ((with, patched), (without, unpatched)) = (core("y")?, core("n")?);
    ensure!(patched, "with the option vfio_main.c is not patched");
    ensure!(!unpatched, "without the option vfio_main.c is patched");
    for name in [
        "vfio_history_set_state",
        "vfio_history_answer",
        "vfio_history_free",
        "__tracepoint_migration_arc",
    ] {
        ensure!(with.defined.contains(name), "no {name}");
    }
    let found = of_the_history(&without);
    ensure!(found.is_empty(), "without the option: {found:?}");
    let (with, without) = (with.exports(), without.exports());
    ensure!(with == without, "with {with:?}, without {without:?}");
    Ok(())
}

/// What the detector of data races sees of our modules: the C, and not the Rust, as
/// `Documentation/decisions.rst` says.
#[test]
fn kcsan_watches_the_c_of_our_modules() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let folder = tempfile::tempdir()?;
    let built = modules::build(&artifacts, folder.path(), &[])?.join("drivers/vfio");
    for (object, in_c) in [
        ("core_debugfs/vfio.ko", true),
        ("pci/hisi_acc_rs/vfio_helpers.o", true),
        ("pci/hisi_acc_rs/hisi_acc_rs_events.o", true),
        ("pci/hisi_acc_rs/hisi_acc_vfio_pci_rs.o", false),
    ] {
        let needed = Symbols::of(&built.join(object))?.needed;
        let watched = needed.iter().any(|name| name.starts_with("__tsan_read"));
        ensure!(
            watched == (in_c && artifacts.kcsan),
            "{object} is watched: {watched}"
        );
    }
    Ok(())
}
