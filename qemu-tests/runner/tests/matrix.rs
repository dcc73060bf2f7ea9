// SPDX-License-Identifier: GPL-2.0

//! What is in drivers/vfio of a kernel tree that carries our files, in each of the
//! configurations in which `kernel/matrix.sh` has compiled it: what is configured
//! is there, and of what is not there is nothing.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use runner::Symbols;

/// Those with VFIO core's debugfs in Rust.
const RUST_CORE: [&str; 7] = [
    "m",
    "y",
    "no-tracing",
    "no-iommufd",
    "64k-pages",
    "oldest-rust",
    "x86-64",
];
/// Those in which VFIO has no debugfs.
const WITHOUT_DEBUGFS: [&str; 2] = ["no-vfio-debugfs", "no-debugfs"];
/// Those with our driver as a module.
const MODULE: [&str; 8] = [
    "m",
    "no-tracing",
    "no-vfio-debugfs",
    "no-debugfs",
    "no-iommufd",
    "64k-pages",
    "oldest-rust",
    "x86-64",
];

const DRIVER: &str = "pci/hisi_acc_rs/hisi-acc-vfio-pci-rs.o";
const CORE: &str = "core_debugfs/debugfs.o";

/// The object folder of a configuration.
fn objects(configuration: &str) -> Result<PathBuf> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/matrix");
    let text = std::fs::read_to_string(&list)
        .with_context(|| format!("{} is not there; `make matrix` builds it", list.display()))?;
    let object_folder = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(name, folder)| (name == configuration).then_some(folder))
        .with_context(|| format!("{} has no {configuration}", list.display()))?;
    Ok(object_folder.into())
}

/// Its drivers/vfio.
fn folder(configuration: &str) -> Result<PathBuf> {
    Ok(objects(configuration)?.join("drivers/vfio"))
}

fn symbols(configuration: &str, object: &str) -> Result<Symbols> {
    Symbols::of(&folder(configuration)?.join(object))
}

fn ensure_none(configuration: &str, what: &str, found: &[&String]) -> Result<()> {
    ensure!(found.is_empty(), "{configuration}: {what}: {found:?}");
    Ok(())
}

#[test]
fn without_the_options_nothing_of_ours_is_compiled() -> Result<()> {
    let folder = folder("n")?;
    for ours in ["core_debugfs", "rust", "pci/hisi_acc_rs"] {
        ensure!(!folder.join(ours).exists(), "n: there is {ours}");
    }
    let samples = objects("n")?.join("samples/vfio-rust");
    ensure!(!samples.exists(), "n: there is {}", samples.display());
    let core = symbols("n", "vfio.o")?;
    ensure!(!core.has_rust(), "n: vfio.o has Rust in it");
    ensure!(
        core.defined.contains("vfio_debugfs_create_root"),
        "n: the kernel's own debugfs is not there"
    );
    ensure!(folder.join("pci/hisilicon/hisi-acc-vfio-pci.o").exists());
    Ok(())
}

#[test]
fn the_core_has_its_debugfs_once_and_in_rust() -> Result<()> {
    for configuration in RUST_CORE {
        let folder = folder(configuration)?;
        ensure!(
            !folder.join("debugfs.o").exists(),
            "{configuration}: the C debugfs is compiled too"
        );
        let ours = symbols(configuration, CORE)?;
        ensure!(ours.has_rust(), "{configuration}: {CORE} is not Rust");
        let core = if configuration == "y" {
            symbols(configuration, "built-in.a")?
        } else {
            symbols(configuration, "vfio.o")?
        };
        for function in [
            "vfio_debugfs_create_root",
            "vfio_debugfs_remove_root",
            "vfio_device_debugfs_init",
            "vfio_device_debugfs_exit",
            "vfio_history_set_state",
            "vfio_history_answer",
            "vfio_history_free",
        ] {
            ensure!(
                ours.defined.contains(function) && core.defined.contains(function),
                "{configuration}: no {function}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_core_has_its_trace_event_if_the_kernel_has_tracing() -> Result<()> {
    for configuration in RUST_CORE {
        let object = folder(configuration)?.join("core_debugfs/vfio_events.o");
        let traces = configuration != "no-tracing";
        ensure!(
            object.exists() == traces,
            "{configuration}: {} exists: {}",
            object.display(),
            !traces
        );
        if traces {
            ensure!(
                (Symbols::of(&object)?.defined).contains("__tracepoint_migration_arc"),
                "{configuration}: no event in {}",
                object.display()
            );
        }
        let needed = symbols(configuration, CORE)?.needed;
        ensure!(
            needed.contains("vfio_history_trace") == traces,
            "{configuration}: {CORE} traces: {}",
            !traces
        );
    }
    Ok(())
}

#[test]
fn r07_without_debugfs_the_core_has_nothing_of_it() -> Result<()> {
    for configuration in WITHOUT_DEBUGFS {
        ensure!(
            !folder(configuration)?.join("core_debugfs").exists(),
            "{configuration}: there is core_debugfs"
        );
        let core = symbols(configuration, "vfio.o")?;
        ensure!(!core.has_rust(), "{configuration}: vfio.o has Rust in it");
        let found: Vec<_> = (core.defined.union(&core.needed))
            .filter(|name| {
                ["debugfs", "history", "migration_arc"]
                    .iter()
                    .any(|part| name.contains(part))
            })
            .collect();
        ensure_none(configuration, "vfio.o", &found)?;
    }
    Ok(())
}

#[test]
fn r07_without_debugfs_the_driver_has_no_files() -> Result<()> {
    // A Rust name has the modules that it is in, each after its length.
    let of_files =
        |name: &&String| name.contains("7debugfs") || name.starts_with("vfio_rust_helper_debugfs");
    // What files call and nothing else.
    let calls = |name: &&String| {
        ["debugfs_", "seq_", "single_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    for configuration in WITHOUT_DEBUGFS {
        let driver = symbols(configuration, DRIVER)?;
        let found: Vec<_> = driver.defined.iter().filter(of_files).collect();
        ensure_none(configuration, "the driver has", &found)?;
        let found: Vec<_> = driver.needed.iter().filter(calls).collect();
        ensure_none(configuration, "the driver calls", &found)?;
    }
    // The same questions where there are files.
    let driver = symbols("m", DRIVER)?;
    ensure!(driver.defined.iter().any(|name| of_files(&name)));
    ensure!(driver.needed.iter().any(|name| calls(&name)));
    Ok(())
}

#[test]
fn r05_in_the_tree_the_core_exports_what_the_kernels_own_does() -> Result<()> {
    let theirs = symbols("n", "vfio.o")?;
    let theirs = theirs.exports();
    ensure!(
        !theirs.is_empty(),
        "the kernel's own vfio.o exports nothing"
    );
    for configuration in [
        "m",
        "no-vfio-debugfs",
        "no-debugfs",
        "64k-pages",
        "oldest-rust",
        "x86-64",
    ] {
        let ours = symbols(configuration, "vfio.o")?;
        let ours = ours.exports();
        ensure!(
            ours == theirs,
            "{configuration}: ours {ours:?}, the kernel's {theirs:?}"
        );
    }
    Ok(())
}

#[test]
fn a_module_finds_what_it_takes_of_vfio() -> Result<()> {
    for configuration in MODULE {
        let (core, pci) = (
            symbols(configuration, "vfio.o")?,
            symbols(configuration, "pci/vfio-pci-core.o")?,
        );
        let exported: BTreeSet<&str> = core.exports().union(&pci.exports()).copied().collect();
        let driver = symbols(configuration, DRIVER)?;
        let (found, missing): (Vec<_>, Vec<_>) = (driver.needed.iter())
            .filter(|name| name.contains("vfio"))
            .partition(|name| exported.contains(name.as_str()));
        ensure!(!found.is_empty(), "{configuration}: it takes nothing");
        ensure_none(configuration, "nobody exports", &missing)?;
        let iommufd = found.iter().any(|name| name.contains("iommufd"));
        ensure!(
            iommufd == (configuration != "no-iommufd"),
            "{configuration}: iommufd is {}used",
            if iommufd { "" } else { "not " }
        );
    }
    Ok(())
}

#[test]
fn built_in_all_links_into_one_object() -> Result<()> {
    let folder = objects("y")?;
    let scratch = tempfile::tempdir()?;
    let linked = scratch.path().join("vfio.o");
    // The sample has a copy of the crate of its own.
    let output = std::process::Command::new("ld.lld-19")
        .args(["-r", "--whole-archive", "-o"])
        .arg(&linked)
        .arg(folder.join("drivers/vfio/built-in.a"))
        .arg(folder.join("samples/vfio-rust/built-in.a"))
        .output()
        .context("cannot run ld.lld-19")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all = Symbols::of(&linked)?;
    for ours in [
        "drivers/vfio/core_debugfs/debugfs.o",
        "drivers/vfio/pci/hisi_acc_rs/hisi_acc_vfio_pci_rs.o",
        "samples/vfio-rust/vfio_edu.o",
    ] {
        let missing: Vec<_> = (Symbols::of(&folder.join(ours))?.defined.into_iter())
            .filter(|name| !name.starts_with('.') && !all.defined.contains(name))
            .collect();
        ensure!(missing.is_empty(), "y: of {ours} there is no {missing:?}");
    }
    Ok(())
}

/// The operator's tool is compiled by the Rust that its page names, whatever its dependencies say that
/// they need.
#[test]
fn the_tool_is_compiled_by_the_oldest_rust() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let fetched = Command::new(tests.join("scripts/oldest_rust.sh")).output()?;
    let fact = String::from_utf8(fetched.stdout)?;
    let rustc = fact
        .trim()
        .strip_prefix("rustc=")
        .context("no Rust was fetched")?;
    let target = tempfile::tempdir()?;
    let check = Command::new("cargo")
        .args(["check", "-q", "--locked", "--target-dir"])
        .arg(target.path())
        .env("RUSTC", rustc)
        .current_dir(tests.join("../tools/vfio-mig"))
        .output()?;
    let errors = String::from_utf8_lossy(&check.stderr);
    ensure!(check.status.success(), "{errors}");
    Ok(())
}
