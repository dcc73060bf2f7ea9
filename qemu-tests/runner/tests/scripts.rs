// SPDX-License-Identifier: GPL-2.0

//! Bad surroundings get one clear line: the recipes run with stand-ins for the
//! programs by which they see the machine.

#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// A machine as a recipe sees it: an empty cache, and some programs replaced.
struct Surroundings {
    folder: TempDir,
}

impl Surroundings {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("bin"))?;
        Ok(Self { folder })
    }

    /// `program` is this shell script from now on.
    fn replace(self, program: &str, script: &str) -> Result<Self> {
        let path = self.folder.path().join("bin").join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(self)
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn command(&self, program: &Path) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env("CACHE", self.cache())
            .env_remove("KERNEL_SRC")
            .env_remove("QEMU_SRC")
            .env(
                "PATH",
                format!("{}:{path}", self.folder.path().join("bin").display()),
            );
        command
    }

    /// Runs a recipe that must fail, and returns its last line.
    fn refusal(&self, recipe: &str, environment: &[(&str, &str)]) -> Result<String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(recipe);
        let output = self
            .command(&program)
            .envs(environment.iter().copied())
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success(), "{recipe} succeeded:\n{text}");
        Ok(text.lines().last().unwrap_or_default().to_string())
    }
}

fn expect(line: &str, parts: &[&str]) -> Result<()> {
    ensure!(line.starts_with("error: "), "not an error line: {line}");
    for part in parts {
        ensure!(line.contains(part), "`{part}` is not in: {line}");
    }
    Ok(())
}

#[test]
fn another_architecture() -> Result<()> {
    let here = Surroundings::new()?.replace("uname", "echo riscv64")?;
    expect(
        &here.refusal("scripts/setup.sh", &[])?,
        &["x86-64", "riscv64"],
    )
}

#[test]
fn packages_to_install_and_no_root() -> Result<()> {
    let here = Surroundings::new()?
        .replace("dpkg-query", "exit 1")?
        .replace("id", "echo 1000")?;
    expect(
        &here.refusal("scripts/setup.sh", &[])?,
        &["root is needed", "clang-19"],
    )
}

#[test]
fn no_network() -> Result<()> {
    let here = Surroundings::new()?.replace(
        "apt-get",
        "case $1 in indextargets) echo http://mirror.invalid/debian $(. /etc/os-release; echo $VERSION_CODENAME);; *) exit 100;; esac",
    )?;
    for recipe in [
        "kernel/build.sh",
        "monitor-qemu/build.sh",
        "qemu/build.sh",
        "scripts/busybox.sh",
        "scripts/oldest_rust.sh",
        "scripts/vmm.sh",
    ] {
        expect(
            &here.refusal(recipe, &[])?,
            &["http://mirror.invalid/debian", "check the network"],
        )?;
    }
    Ok(())
}

#[test]
fn disk_full() -> Result<()> {
    let here = Surroundings::new()?.replace("df", "echo head; echo dev 9 9 17 99% /")?;
    for recipe in [
        "kernel/build.sh",
        "monitor-qemu/build.sh",
        "qemu/build.sh",
        "scripts/oldest_rust.sh",
        "scripts/vmm.sh",
    ] {
        expect(&here.refusal(recipe, &[])?, &["17 MiB free", "CACHE="])?;
    }
    Ok(())
}

const FAKE_APT: &str = "case $1 in indextargets) echo http://mirror.invalid/debian $(. /etc/os-release; echo $VERSION_CODENAME);; \
     update) ;; download) echo broken >linux-source-7.3_x.deb;; source) echo broken >qemu_10.2.2+ds.orig.tar.xz;; *) exit 100;; esac";

#[test]
fn a_broken_download_is_refused_and_removed() -> Result<()> {
    let here = Surroundings::new()?
        .replace("apt-get", FAKE_APT)?
        .replace(
            "apt-cache",
            "case $1 in madison) echo 'linux-source-7.3 | 7.3.4-1~bpo13+1 | x';; showsrc) echo 'Version: 1:10.2.2+ds-1';; esac",
        )?;
    for recipe in ["kernel/build.sh", "monitor-qemu/build.sh", "qemu/build.sh"] {
        expect(
            &here.refusal(recipe, &[])?,
            &["sha256", "is removed", "run again"],
        )?;
        let left = walk(&here.cache().join("downloads"))?;
        ensure!(left.is_empty(), "{recipe} left {left:?}");
    }
    Ok(())
}

#[test]
fn a_pinned_version_that_is_gone_names_the_newest() -> Result<()> {
    let here = Surroundings::new()?
        .replace("apt-get", FAKE_APT)?
        .replace(
            "apt-cache",
            "case $1 in madison) echo 'linux-source-7.3 | 7.3.9-1~bpo13+1 | x';; showsrc) echo 'Version: 1:11.1.3+ds-1';; esac",
        )?;
    expect(
        &here.refusal("kernel/build.sh", &[])?,
        &["gone", "7.3.9-1~bpo13+1", "KERNEL_SRC="],
    )?;
    expect(
        &here.refusal("qemu/build.sh", &[])?,
        &["gone", "1:11.1.3+ds-1", "QEMU_SRC="],
    )
}

#[test]
fn a_source_that_is_not_one() -> Result<()> {
    let here = Surroundings::new()?;
    let empty = here.folder.path().join("bin").display().to_string();
    expect(
        &here.refusal("kernel/build.sh", &[("KERNEL_SRC", "/nonexistent")])?,
        &["KERNEL_SRC=/nonexistent does not exist"],
    )?;
    expect(
        &here.refusal("kernel/build.sh", &[("KERNEL_SRC", &empty)])?,
        &["is not a Linux 7.3 source tree"],
    )?;
    expect(
        &here.refusal("qemu/build.sh", &[("QEMU_SRC", &empty)])?,
        &["is not a QEMU source tree"],
    )
}

#[test]
fn a_patch_that_does_not_apply_is_named() -> Result<()> {
    let here = Surroundings::new()?;
    let other = here.folder.path().join("other");
    std::fs::create_dir_all(other.join("hw/pci"))?;
    std::fs::write(other.join("hw/pci/pcie_sriov.c"), "")?;
    let other = other.display().to_string();
    expect(
        &here.refusal("qemu/build.sh", &[("QEMU_SRC", &other)])?,
        &["0001-hw-arm-smmuv3", ".patch does not apply to", &other],
    )
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
