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
