// SPDX-License-Identifier: GPL-2.0

//! `dkms.conf`: dkms skips a kernel for which the modules cannot be built, so that the package manager
//! goes on, and builds what can be built from packaged headers.

#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use common::dkms::Dkms;
use common::{output, top};
use runner::Artifacts;
use tempfile::TempDir;

/// The status with which dkms ends for a kernel that `dkms.conf` excludes. The hooks of kernel packages
/// take it for success.
const SKIPPED: i32 = 77;

/// Options of a kernel for which the modules can be built.
const CONFIG: &str = "CONFIG_RUST=y\nCONFIG_VFIO=m\nCONFIG_PCI_MSI=y\nCONFIG_CRYPTO_DEV_HISI_QM=m\n\
    CONFIG_CRYPTO_DEV_HISI_ZIP=m\nCONFIG_CRYPTO_DEV_HISI_SEC2=m\nCONFIG_CRYPTO_DEV_HISI_HPRE=m\n";

/// Those of a kernel without the drivers of the accelerators.
fn without_accelerators() -> String {
    let others = CONFIG.lines().filter(|line| !line.contains("HISI"));
    others.map(|line| format!("{line}\n")).collect()
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

/// Headers as distributions package them, without the files for Rust and with a link to a source of this
/// version of the kernel. Nothing can be compiled there.
fn headers_with_source(config: &str, version: &str) -> Result<TempDir> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let config = format!(
        "{config}CONFIG_RUSTC_VERSION_TEXT=\"{}\"\n",
        rustc.trim_end()
    );
    let headers = headers(&config, false)?;
    let write = |file: &str, text: &str| -> Result<()> {
        let path = headers.path().join(file);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(std::fs::write(path, text)?)
    };
    write(
        "Module.symvers",
        "0x00000000\t_R1a\tvmlinux\tEXPORT_SYMBOL_GPL\t\n",
    )?;
    write("include/config/kernel.release", "7.3.4-arm64\n")?;
    write("include/generated/utsrelease.h", "of the headers\n")?;
    write("source/drivers/vfio/vfio_main.c", "")?;
    write("source/rust/Makefile", "")?;
    write(
        "source/Makefile",
        &format!("kernelversion: ; @echo {version}\n"),
    )?;
    Ok(headers)
}

/// What packaged headers and the configuration of a distribution lack is built from the source, if that
/// is the kernel's and the tools are there.
#[test]
fn kernels_of_distributions_are_skipped_unless_their_source_is_there() -> Result<()> {
    let dkms = Dkms::with(&["dkms.conf", "scripts"])?;
    let without_accelerators = without_accelerators();
    let status_of = |headers: &TempDir| dkms.build("7.3.4-arm64", headers.path());

    for config in [CONFIG, &without_accelerators] {
        let status = status_of(&headers_with_source(config, "7.3.4")?)?;
        ensure!(
            status != SKIPPED && status != 0,
            "{config}: status {status}"
        );

        let another_source = headers_with_source(config, "7.3.3")?;
        let status = status_of(&another_source)?;
        ensure!(status == SKIPPED, "another source: status {status}");

        let another_rustc = headers_with_source(config, "7.3.4")?;
        let file = another_rustc.path().join(".config");
        let text = std::fs::read_to_string(&file)?.replace("=\"rustc ", "=\"rustc 0.");
        std::fs::write(file, text)?;
        let status = status_of(&another_rustc)?;
        ensure!(status == SKIPPED, "another rustc: status {status}");
    }
    Ok(())
}

/// Without the kernel's source, a kernel without the accelerators' drivers is not skipped if an
/// administrator says where the symbols of those are.
#[test]
fn an_administrator_gives_the_symbols_of_the_accelerators_drivers() -> Result<()> {
    let dkms = Dkms::with(&["dkms.conf"])?;
    let headers = headers(&without_accelerators(), true)?;
    // dkms builds nothing where this is not.
    std::fs::create_dir(headers.path().join("include"))?;
    let settings = tempfile::tempdir()?;
    let given = settings.path().join("given");
    dkms.write(
        "Makefile",
        &format!(
            "modules: ; @echo $(KBUILD_EXTRA_SYMBOLS) >{}; false\n",
            given.display()
        ),
    )?;
    let build = || dkms.build_with(settings.path(), "7.3.4", headers.path());
    let status = build()?;
    ensure!(status == SKIPPED, "without a setting: status {status}");
    std::fs::write(
        settings.path().join("hisi-acc-vfio-rs.conf"),
        "KBUILD_EXTRA_SYMBOLS=/of/theirs\n",
    )?;
    let status = build()?;
    ensure!(status != SKIPPED && status != 0, "status {status}");
    assert_eq!(std::fs::read_to_string(given)?, "/of/theirs\n");
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

/// What is under a folder, with its content.
fn tree(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(tree(&path)?);
        } else {
            let content = std::fs::read(&path)?;
            found.insert(path, content);
        }
    }
    Ok(found)
}

/// dkms reads `dkms.conf` again when it installs and removes what it has built. There is no source of
/// the kernel here.
#[test]
fn what_was_built_is_removed_without_its_source() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let dkms = Dkms::with(&["dkms.conf"])?;
    let release = "7.3.4-arm64";
    let modules = artifacts.out.join("modules/drivers/vfio");
    let built = dkms.built(release)?;
    for module in [
        "core_debugfs/vfio.ko",
        "pci/hisi_acc_rs/hisi-acc-vfio-pci-rs.ko",
    ] {
        let file = modules.join(module);
        let name = file.file_name().context("no name")?;
        std::fs::copy(&file, built.join(name))?;
    }
    let installed = dkms.folder(&format!("lib/{release}"))?;
    let stock = dkms.folder(&format!("lib/{release}/kernel/drivers/vfio"))?;
    std::fs::copy(
        artifacts.kernel.join("drivers/vfio/vfio.ko"),
        stock.join("vfio.ko"),
    )?;
    let before = tree(&installed)?;

    let headers = headers(CONFIG, true)?;
    let headers = headers.path().to_str().context("not UTF-8")?;
    let lib = dkms.folder("lib")?;
    let lib = lib.to_str().context("not UTF-8")?;
    let kernel = ["-k", release, "-a", "aarch64", "--kernelsourcedir", headers];
    let place = [&kernel[..], &["--installtree", lib, "--no-depmod"]].concat();
    // Older versions of dkms take two versions of vfio.ko for equal, and keep the stock one.
    let install = [&place[..], &["--force"]].concat();
    ensure!(dkms.run("install", &install)? == 0, "dkms install fails");
    let names: Vec<_> = tree(&installed.join("updates"))?.into_keys().collect();
    ensure!(names.len() == 2, "installed: {names:?}");
    ensure!(dkms.run("remove", &place)? == 0, "dkms remove fails");
    ensure!(tree(&installed)? == before, "the modules are not as before");
    Ok(())
}
