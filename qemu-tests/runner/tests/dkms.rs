// SPDX-License-Identifier: GPL-2.0

//! `dkms.conf`: dkms skips a kernel for which the modules cannot be built, so that the package manager
//! goes on, and builds what can be built from packaged headers.

#![forbid(unsafe_code)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use runner::Artifacts;
use tempfile::TempDir;

/// The status with which dkms ends for a kernel that `dkms.conf` excludes. The hooks of kernel packages
/// take it for success.
const SKIPPED: i32 = 77;

/// Options of a kernel for which the modules can be built.
const CONFIG: &str = "CONFIG_RUST=y\nCONFIG_VFIO=m\nCONFIG_PCI_MSI=y\nCONFIG_CRYPTO_DEV_HISI_QM=m\n\
    CONFIG_CRYPTO_DEV_HISI_ZIP=m\nCONFIG_CRYPTO_DEV_HISI_SEC2=m\nCONFIG_CRYPTO_DEV_HISI_HPRE=m\n";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A dkms tree of its own, to which the modules are added.
struct Dkms(TempDir);

impl Dkms {
    /// With those of the project's files and folders as the modules' source.
    fn with(files: &[&str]) -> Result<Self> {
        let dkms = Self(tempfile::tempdir()?);
        let source = dkms.0.path().join("src/hisi-acc-vfio-rs-0.1.0");
        for folder in [&source, &dkms.0.path().join("tree")] {
            std::fs::create_dir_all(folder)?;
        }
        let copied = Command::new("cp")
            .arg("-rt")
            .arg(&source)
            .args(files.iter().map(|file| top().join(file)))
            .status()?;
        ensure!(copied.success(), "cannot copy {files:?}");
        ensure!(dkms.run("add", &[])? == 0, "dkms add fails");
        Ok(dkms)
    }

    fn run(&self, action: &str, arguments: &[&str]) -> Result<i32> {
        let folder = |name: &str| self.0.path().join(name);
        let output = Command::new("dkms")
            .args([action, "hisi-acc-vfio-rs/0.1.0"])
            .arg("--dkmstree")
            .arg(folder("tree"))
            .arg("--sourcetree")
            .arg(folder("src"))
            .args(arguments)
            .output()?;
        let log = folder("tree/hisi-acc-vfio-rs/0.1.0/build/make.log");
        println!(
            "{}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            std::fs::read_to_string(log).unwrap_or_default()
        );
        output.status.code().context("dkms was killed")
    }

    /// Builds for a kernel of this release with these headers. Returns dkms' status.
    fn build(&self, release: &str, headers: &Path) -> Result<i32> {
        let headers = headers.to_str().context("not UTF-8")?;
        let kernel = ["-k", release, "-a", "aarch64", "--kernelsourcedir", headers];
        self.run("build", &kernel)
    }

    /// The modules that were built for a kernel.
    fn modules(&self, release: &str) -> Result<Vec<String>> {
        let built = format!("tree/hisi-acc-vfio-rs/0.1.0/{release}/aarch64/module");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.0.path().join(built))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Headers as dkms looks at them.
fn headers(config: &str, with_rust: bool) -> Result<TempDir> {
    let headers = tempfile::tempdir()?;
    std::fs::write(headers.path().join(".config"), config)?;
    std::fs::create_dir(headers.path().join("rust"))?;
    if with_rust {
        std::fs::write(headers.path().join("rust/libkernel.rmeta"), "")?;
    }
    Ok(headers)
}

#[test]
fn b09_kernels_that_cannot_be_served_are_skipped() -> Result<()> {
    let dkms = Dkms::with(&["dkms.conf"])?;
    let complete = headers(CONFIG, true)?;
    for release in ["6.12.5-arm64", "7.2.12+deb13-arm64", "7.2"] {
        let status = dkms.build(release, complete.path())?;
        ensure!(status == SKIPPED, "{release}: status {status}");
    }
    for option in CONFIG.lines() {
        let lacking = headers(&CONFIG.replace(option, ""), true)?;
        let status = dkms.build("7.3.4", lacking.path())?;
        ensure!(status == SKIPPED, "without {option}: status {status}");
    }
    let status = dkms.build("7.3.4", headers(CONFIG, false)?.path())?;
    ensure!(status == SKIPPED, "without rust/: status {status}");

    // There is nothing to build here, so that a kernel that is not skipped fails.
    for release in ["7.3.4", "7.3", "7.10.1-arm64"] {
        let status = dkms.build(release, complete.path())?;
        ensure!(
            status != SKIPPED && status != 0,
            "{release}: status {status}"
        );
    }
    Ok(())
}

#[test]
fn b10_from_headers_without_the_source_the_driver_is_built() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let scratch = tempfile::tempdir()?;
    let kit = scratch.path().join("kit");
    let made = Command::new(top().join("qemu-tests/kernel/kit.sh"))
        .arg(&artifacts.kernel)
        .arg(&kit)
        .status()?;
    ensure!(made.success(), "no kit of headers");
    let files = [
        "dkms.conf",
        "Kbuild",
        "Kconfig",
        "Makefile",
        "drivers",
        "samples",
        "scripts",
    ];
    let dkms = Dkms::with(&files)?;

    let release = std::fs::read_to_string(kit.join("include/config/kernel.release"))?;
    let release = release.trim_end();
    let driver = "hisi-acc-vfio-pci-rs.ko";
    ensure!(
        dkms.build(release, &kit)? == 0,
        "dkms fails without the source"
    );
    assert_eq!(dkms.modules(release)?, [driver]);

    symlink(artifacts.kernel.join("source"), kit.join("source"))?;
    let again = dkms.run("remove", &["-k", release, "-a", "aarch64"])?;
    ensure!(again == 0, "dkms remove fails");
    ensure!(dkms.run("add", &[])? == 0, "dkms add fails");
    ensure!(
        dkms.build(release, &kit)? == 0,
        "dkms fails with the source"
    );
    assert_eq!(dkms.modules(release)?, [driver, "vfio.ko"]);
    Ok(())
}
