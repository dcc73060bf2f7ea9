// SPDX-License-Identifier: GPL-2.0

//! Our modules as a distribution's user gets them: built against a kit of headers,
//! installed beside the kernel's own, found by modprobe.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use protocol::Scenario;
use runner::{Artifacts, Machine, modules};

/// Those that are installed.
const OURS: [(&str, &str); 2] = [
    ("vfio.ko", "drivers/vfio/core_debugfs"),
    ("hisi-acc-vfio-pci-rs.ko", "drivers/vfio/pci/hisi_acc_rs"),
];

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

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Takes a kit from the kernel's build folder. The kit has no C files of drivers/vfio.
fn kit(artifacts: &Artifacts, kit: &Path) -> Result<()> {
    run(Command::new(top().join("qemu-tests/kernel/kit.sh"))
        .arg(&artifacts.kernel)
        .arg(kit))?;
    ensure!(!kit.join("drivers").exists(), "the kit has drivers/");
    Ok(())
}

/// Builds our modules against the kit and installs them, and the kernel's own, into `root`.
/// Returns the folder of the kernel's modules.
fn install(artifacts: &Artifacts, kit: &Path, build: &Path, root: &Path) -> Result<PathBuf> {
    let option = format!("INSTALL_MOD_PATH={}", root.display());
    run(Command::new("make").arg("-C").arg(&artifacts.kernel).args([
        "ARCH=arm64",
        "LLVM=-19",
        "modules_install",
        &option,
    ]))?;
    let source = format!("KSRC={}", artifacts.kernel.join("source").display());
    let against = Artifacts {
        kernel: kit.to_owned(),
        ..artifacts.clone()
    };
    modules::build(&against, build, &["modules_install", &source, &option])?;
    let modules = root.join("lib/modules");
    let mut kernels = std::fs::read_dir(&modules)?;
    Ok(kernels.next().context("no kernel has modules")??.path())
}

/// The modules are, byte for byte, those that were built against the kernel's build folder.
fn nothing_depends_on_the_kit(artifacts: &Artifacts, build: &Path) -> Result<()> {
    let prepared = artifacts.initrd.with_file_name("modules");
    for (module, folder) in OURS {
        let read = |top: &Path| {
            let file = top.join(folder).join(module);
            std::fs::read(&file).with_context(|| file.display().to_string())
        };
        ensure!(
            read(build)? == read(&prepared)?,
            "{module} is another one than in {}",
            prepared.display()
        );
    }
    Ok(())
}

fn ours_go_before_the_stock_ones(modules: &Path) -> Result<()> {
    let dependencies = std::fs::read_to_string(modules.join("modules.dep"))?;
    for (module, _) in OURS {
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
    Ok(())
}

fn both_drivers_have_the_same_aliases(modules: &Path) -> Result<()> {
    let aliases = std::fs::read_to_string(modules.join("modules.alias"))?;
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

/// An initramfs with what is installed under `root`, and with modprobe.
fn initramfs(artifacts: &Artifacts, root: &Path, folder: &Path) -> Result<PathBuf> {
    let mut list = String::from("dir /sbin 0755 0 0\nslink /sbin/modprobe /bin/busybox 0777 0 0\n");
    let mut folders = vec![root.join("lib")];
    while let Some(folder) = folders.pop() {
        writeln!(
            list,
            "dir /{} 0755 0 0",
            folder.strip_prefix(root)?.display()
        )?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_symlink() {
                // To the kernel's build folder, which the machine does not have.
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root)?.display();
                writeln!(list, "file /{name} {} 0644 0 0", path.display())?;
            }
        }
    }
    let file = folder.join("initrd.cpio");
    modules::extend(artifacts, &list, &file)?;
    Ok(file)
}

#[test]
fn built_against_a_kit_installed_and_found_by_modprobe() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let scratch = tempfile::tempdir()?;
    let folder = |name: &str| scratch.path().join(name);

    kit(&artifacts, &folder("kit"))?;
    let modules = install(
        &artifacts,
        &folder("kit"),
        &folder("build"),
        &folder("root"),
    )?;
    nothing_depends_on_the_kit(&artifacts, &folder("build"))?;
    ours_go_before_the_stock_ones(&modules)?;
    both_drivers_have_the_same_aliases(&modules)?;

    let installed = Artifacts {
        initrd: initramfs(&artifacts, &folder("root"), scratch.path())?,
        ..artifacts
    };
    let outcome = Machine::new(Scenario::Install).run(&installed, |line| println!("{line}"))?;
    outcome.expect_passed()
}
