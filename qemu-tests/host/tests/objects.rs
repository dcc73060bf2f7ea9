// SPDX-License-Identifier: GPL-2.0
//! What is in vfio.ko, and what is not: nothing more is exported than the kernel's
//! own exports, and nothing of ours is there when the option is off.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use host::{Artifacts, modules};

/// The core's module among those that are built.
const VFIO: &str = "drivers/vfio/core_debugfs/vfio.ko";

/// Names of the symbols that an object defines.
fn symbols(object: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new("llvm-nm-19")
        .args(["--defined-only", "--format=just-symbols"])
        .arg(object)
        .output()
        .context("cannot run llvm-nm-19")?;
    ensure!(
        output.status.success(),
        "no symbols in {}",
        object.display()
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn exports(symbols: &BTreeSet<String>) -> BTreeSet<&str> {
    symbols
        .iter()
        .filter_map(|s| s.strip_prefix("__ksymtab_"))
        .collect()
}

#[test]
fn r05_vfio_exports_what_the_kernels_own_does() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let folder = tempfile::tempdir()?;
    let ours = symbols(&modules::build(&artifacts, folder.path(), &[])?.join(VFIO))?;
    let theirs = symbols(&artifacts.kernel.join("drivers/vfio/vfio.ko"))?;
    ensure!(
        ours.iter().any(|s| s.starts_with("_R")),
        "this vfio.ko has no Rust in it"
    );
    ensure!(!exports(&theirs).is_empty(), "the kernel's exports nothing");
    let (ours, theirs) = (exports(&ours), exports(&theirs));
    ensure!(ours == theirs, "ours {ours:?}, the kernel's {theirs:?}");
    Ok(())
}

#[test]
fn r07_nothing_of_ours_is_there_without_debugfs() -> Result<()> {
    let artifacts = Artifacts::load()?;
    for option in ["CONFIG_VFIO_DEBUGFS=", "CONFIG_DEBUG_FS="] {
        let folder = tempfile::tempdir()?;
        let symbols = symbols(&modules::build(&artifacts, folder.path(), &[option])?.join(VFIO))?;
        let ours: Vec<_> = symbols
            .iter()
            .filter(|s| {
                s.starts_with("_R") || s.contains("vfio_debugfs") || s.contains("device_debugfs")
            })
            .collect();
        ensure!(ours.is_empty(), "with {option} there is {ours:?}");
        ensure!(
            symbols.contains("init_module"),
            "with {option} it is no module"
        );
    }
    Ok(())
}
