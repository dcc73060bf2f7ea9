// SPDX-License-Identifier: GPL-2.0
//! What is in the vfio.ko that is built outside of the kernel tree: nothing more is
//! exported than the kernel's own exports.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use host::{Artifacts, Symbols, modules};

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
