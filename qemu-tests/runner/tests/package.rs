// SPDX-License-Identifier: GPL-2.0

//! The Debian packages, installed, upgraded, removed and purged in a root of Debian for arm64 that is
//! booted as an emulated host: `make deb-test`. The modules are built here, by dkms from the package's
//! source. With Debian's own kernel, they are built by the installation of the package in such a root,
//! by its compilers, and there is no upgrade: that takes long.

#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use common::dkms::Dkms;
use common::{fact, output, top};
use protocol::Scenario;
use runner::{Artifacts, Machine};

/// The second one is newer than any.
const VERSIONS: [&str; 2] = ["0.1.0", "0.1.0+test"];

/// What an initramfs has, in the format of the kernel's `gen_init_cpio`, without what is there more
/// than once.
#[derive(Default)]
struct List {
    lines: String,
    names: BTreeSet<PathBuf>,
}

impl List {
    /// Adds a file or folder under this name, and what is in it.
    fn add(&mut self, name: &Path, file: &Path) -> Result<()> {
        let about = fs::symlink_metadata(file).with_context(|| file.display().to_string())?;
        let (kind, mode) = (about.file_type(), about.permissions().mode() & 0o7777);
        let name_in = name.display();
        let is_new = self.names.insert(name.to_owned());
        if kind.is_dir() {
            if is_new && name != Path::new("/") {
                writeln!(self.lines, "dir {name_in} {mode:o} 0 0")?;
            }
            let mut inside = fs::read_dir(file)?
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>>>()?;
            inside.sort();
            for path in inside {
                self.add(&name.join(path.file_name().context("no name")?), &path)?;
            }
        } else if kind.is_symlink() {
            let target = fs::read_link(file)?;
            writeln!(self.lines, "slink {name_in} {} 777 0 0", target.display())?;
        } else if kind.is_file() {
            writeln!(self.lines, "file {name_in} {} {mode:o} 0 0", file.display())?;
        }
        Ok(())
    }
}

/// The kernel's release.
fn release(artifacts: &Artifacts) -> Result<String> {
    let file = artifacts.kernel.join("include/config/kernel.release");
    Ok(fs::read_to_string(file)?.trim_end().to_owned())
}

/// Installs the kernel's own modules under a root, as its package does, with a folder for headers, which
/// nothing is compiled with. Returns its release.
fn stock(artifacts: &Artifacts, root: &Path) -> Result<String> {
    output(
        Command::new("make")
            .args(["-s", "-C"])
            .arg(&artifacts.kernel)
            .args(["ARCH=arm64", "LLVM=-19", "modules_install"])
            .arg(format!("INSTALL_MOD_PATH={}", root.display())),
    )?;
    let release = release(artifacts)?;
    let build = root.join("lib/modules").join(&release).join("build");
    fs::remove_file(&build)?;
    fs::create_dir(&build)?;
    Ok(release)
}

/// What the scripts of a dkms package look for, in their folder.
const BINARIES: &str = "usr/share/hisi-acc-vfio-rs-dkms";

/// Builds the packages of a version, for the emulated host. Returns that with the modules' source.
fn packages(version: &str, root: &Path) -> Result<PathBuf> {
    let folder = root.join("packages").join(version);
    let scratch = tempfile::tempdir()?;
    let built = output(
        Command::new(top().join("packaging/deb.sh"))
            .arg(scratch.path())
            .arg(version),
    )?;
    fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for package in ["dkms", "tool"] {
        let file = fact(package, &built)?;
        let copy = folder.join(file.file_name().context("no name")?);
        fs::copy(&file, &copy)?;
        files.push(copy);
    }
    fs::create_dir_all(root.join(BINARIES))?;
    Ok(files.swap_remove(0))
}

/// Builds the modules for our kernel from the source in a package, by dkms.
fn build(artifacts: &Artifacts, version: &str, release: &str, root: &Path) -> Result<()> {
    let dkms = Dkms::of_package(&packages(version, root)?, version)?;
    ensure!(
        dkms.build(release, &artifacts.kernel)? == 0,
        "dkms does not build {version}"
    );
    assert_eq!(
        dkms.modules(release)?,
        ["hisi-acc-vfio-pci-rs.ko", "vfio.ko"]
    );
    let archive = format!("{BINARIES}/hisi-acc-vfio-rs-{version}.dkms.tar.gz");
    let archive = root.join(archive);
    let archive = archive.to_str().context("not UTF-8")?;
    let made = dkms.run(
        "mktarball",
        &[
            "-k",
            release,
            "-a",
            "aarch64",
            "--binaries-only",
            "--archive",
            archive,
        ],
    )?;
    ensure!(made == 0, "dkms mktarball fails");
    Ok(())
}

/// The folders of Debian's modules that are used here; of all, depmod takes minutes there.
const OF_DEBIAN: [&str; 5] = [
    "kernel/arch",
    "kernel/crypto",
    "kernel/drivers/crypto",
    "kernel/drivers/vfio",
    "kernel/lib",
];

/// Installs Debian's modules, and builds ours by installing their package where compilers are.
fn build_as_a_user(artifacts: &Artifacts, root: &Path) -> Result<()> {
    let release = release(artifacts)?;
    let built = output(
        Command::new(top().join("qemu-tests/scripts/arm64_dkms.sh"))
            .arg(&release)
            .arg(packages(VERSIONS[0], root)?)
            .arg(root.join(BINARIES)),
    )?;
    let modules = fact("modules", &built)?;
    let copy = root.join("lib/modules").join(release);
    fs::create_dir_all(copy.join("build"))?;
    let mut wanted = Vec::from(OF_DEBIAN);
    wanted.extend([
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ]);
    let copied = Command::new("cp")
        .args(["-a", "--parents", "-t"])
        .arg(&copy)
        .args(wanted)
        .current_dir(modules)
        .status()?;
    ensure!(copied.success(), "Debian's modules cannot be copied");
    Ok(())
}

#[test]
fn packages_are_installed_used_upgraded_removed_and_purged() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let made = output(Command::new(top().join("qemu-tests/scripts/arm64_root.sh")).arg("host"))?;
    let debian = fact("root", &made)?;
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("root");
    if artifacts.debian {
        build_as_a_user(&artifacts, &root)?;
    } else {
        let release = stock(&artifacts, &root)?;
        for version in VERSIONS {
            build(&artifacts, version, &release, &root)?;
        }
    }

    let mut list = List::default();
    list.add(Path::new("/"), &debian)?;
    list.add(Path::new("/usr/lib/modules"), &root.join("lib/modules"))?;
    list.add(Path::new("/packages"), &root.join("packages"))?;
    list.add(Path::new("/usr/share"), &root.join("usr/share"))?;
    // The tool comes with its package.
    let usual = fs::read_to_string(artifacts.initrd.with_extension("list"))?;
    let needed = ["nod ", "file /init ", "file /bin/busybox "];
    for line in usual.lines() {
        if needed.iter().any(|start| line.starts_with(start)) {
            writeln!(list.lines, "{line}")?;
        }
    }
    let file = scratch.path().join("initrd.list");
    fs::write(&file, list.lines)?;
    let made = Command::new(artifacts.kernel.join("usr/gen_init_cpio"))
        .arg(&file)
        .output()?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let initrd = scratch.path().join("initrd.cpio");
    fs::write(&initrd, made.stdout)?;

    let host = Artifacts {
        initrd,
        ..artifacts
    };
    let machine = Machine::new(Scenario::Package).memory("4G").within(2400);
    let outcome = machine.run(&host, |line| println!("{line}"))?;
    outcome.expect_passed()
}
