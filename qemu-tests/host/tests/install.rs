// SPDX-License-Identifier: GPL-2.0
//! Our modules installed beside the kernel's own, into a root folder.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use host::Artifacts;

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn ours_go_before_the_stock_ones_and_are_found_by_the_same_aliases() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let root = tempfile::tempdir()?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let install = format!("INSTALL_MOD_PATH={}", root.path().display());
    run(Command::new("make")
        .args(["-C", &artifacts.kernel.display().to_string()])
        .args(["ARCH=arm64", "LLVM=-19", "modules_install", &install]))?;
    run(Command::new("make")
        .arg("-C")
        .arg(&top)
        .args(["modules", "modules_install", &install])
        .arg(format!("KDIR={}", artifacts.kernel.display()))
        .arg(format!("MO={}", root.path().join("build").display())))?;

    let modules = root.path().join("lib/modules");
    let release = std::fs::read_dir(&modules)?.next().expect("one kernel")?;
    let read = |file: &str| std::fs::read_to_string(release.path().join(file));

    let dependencies = read("modules.dep")?;
    for module in ["vfio.ko", "hisi-acc-vfio-pci-rs.ko"] {
        let ours = dependencies
            .lines()
            .any(|l| l.starts_with("updates/") && l.contains(&format!("/{module}:")));
        ensure!(ours, "{module} is not in updates/:\n{dependencies}");
    }
    ensure!(
        !dependencies.contains("kernel/drivers/vfio/vfio.ko"),
        "something depends on the stock vfio.ko"
    );
    ensure!(
        dependencies.contains("kernel/drivers/vfio/pci/hisilicon/hisi-acc-vfio-pci.ko:"),
        "the C driver is gone"
    );

    let aliases = read("modules.alias")?;
    let of = |module: &str| -> Vec<&str> {
        let mut found: Vec<&str> = aliases
            .lines()
            .filter_map(|l| l.strip_prefix("alias ")?.split_once(' '))
            .filter(|(_, target)| *target == module)
            .map(|(alias, _)| alias)
            .collect();
        found.sort_unstable();
        found
    };
    let (c, rust) = (of("hisi_acc_vfio_pci"), of("hisi_acc_vfio_pci_rs"));
    ensure!(c.len() == 3, "the C driver has the aliases {c:?}");
    ensure!(c == rust, "C has {c:?}, ours has {rust:?}");
    Ok(())
}
