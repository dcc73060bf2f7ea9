// SPDX-License-Identifier: GPL-2.0

//! What is built from the source of a distribution's kernel. `scripts/rust-metadata.sh` refuses, in one
//! line and before it compiles anything, headers and sources from which the metadata of another kernel
//! would come out; `scripts/accelerators.sh` builds what the kernel lacks, and nothing else.

#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const RUSTC: &str = "rustc 1.85.1 (4eb161250 2025-03-15)";
const CONFIG: &str = "CONFIG_ARM64=y\nCONFIG_RUST=y\nCONFIG_A=y\n";
const SYMBOL: &str = "_RNvCs1_6kernel1a";

/// Headers, and a source whose `make` does what this test program says.
struct Kernel(TempDir);

impl Kernel {
    /// One for which the script succeeds. Its `prepare` exports [`SYMBOL`].
    fn new() -> Result<Self> {
        let kernel = Self(tempfile::tempdir()?);
        kernel.write(
            "headers/.config",
            &format!("{CONFIG}CONFIG_RUSTC_VERSION_TEXT=\"{RUSTC}\"\n"),
        )?;
        kernel.write(
            "headers/Module.symvers",
            &format!("0x00000000\t{SYMBOL}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"),
        )?;
        kernel.write(
            "headers/include/config/kernel.release",
            "7.3.4+deb13-arm64\n",
        )?;
        kernel.write("headers/include/generated/utsrelease.h", "of the headers\n")?;
        kernel.write("source/rust/Makefile", "")?;
        kernel.write(
            "source/Makefile",
            &format!(
                "kernelversion: ; @echo 7.3.4\n\
                 olddefconfig: ; @true\n\
                 prepare: ; @mkdir -p $(O)/rust $(O)/include/config $(O)/include/generated && \
                 echo 'EXPORT_SYMBOL_RUST_GPL({SYMBOL});' >$(O)/rust/exports_kernel_generated.h\n\
                 modules_prepare: prepare ; @true\n"
            ),
        )?;
        kernel.write("rustc", &format!("#!/bin/sh\necho '{RUSTC}'\n"))?;
        let executable = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(kernel.0.path().join("rustc"), executable)?;
        kernel.write("library/core/src/lib.rs", "")?;
        Ok(kernel)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// Runs the script. Its last line is the error if it fails.
    fn run(&self) -> Result<Result<(), String>> {
        self.run_for(&self.0.path().join("out"))
    }

    fn run_for(&self, out: &Path) -> Result<Result<(), String>> {
        self.run_script("rust-metadata.sh", out)
    }

    fn run_script(&self, name: &str, out: &Path) -> Result<Result<(), String>> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = self.0.path();
        let output = Command::new(top.join("scripts").join(name))
            .arg(out)
            .env("KDIR", folder.join("headers"))
            .env("KSRC", folder.join("source"))
            .env("RUSTC", folder.join("rustc"))
            .env("RUST_LIB_SRC", folder.join("library"))
            .env("BINDGEN", "true")
            .env_remove("MAKEFLAGS")
            .output()?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let errors = String::from_utf8(output.stderr)?;
        let line = errors.lines().next_back().context("no reason")?;
        ensure!(line.starts_with("error: "), "not an error line: {errors}");
        Ok(Err(line.to_owned()))
    }

    /// The line with which the script refuses.
    fn refusal(&self) -> Result<String> {
        self.run()?.err().context("not refused")
    }
}

#[test]
fn metadata_is_made_with_the_symbols_and_the_version_of_the_headers() -> Result<()> {
    let kernel = Kernel::new()?;
    kernel.run()?.map_err(anyhow::Error::msg)?;
    for file in [
        "Module.symvers",
        "include/config/kernel.release",
        "include/generated/utsrelease.h",
    ] {
        let read = |of: &str| std::fs::read(kernel.0.path().join(of).join(file));
        ensure!(read("out")? == read("headers")?, "{file} differs");
    }
    Ok(())
}

#[test]
fn a_kernel_with_a_symbol_that_does_not_come_out_is_refused() -> Result<()> {
    let kernel = Kernel::new()?;
    kernel.write(
        "headers/Module.symvers",
        "0x00000000\t_RNvCs2_6kernel1a\tvmlinux\tEXPORT_SYMBOL_GPL\t\n",
    )?;
    let line = kernel.refusal()?;
    ensure!(line.contains("_RNvCs2_6kernel1a"), "{line}");
    Ok(())
}

#[test]
fn a_configuration_that_comes_out_differently_is_refused() -> Result<()> {
    let kernel = Kernel::new()?;
    let makefile = std::fs::read_to_string(kernel.0.path().join("source/Makefile"))?;
    let changed = "olddefconfig: ; @sed -i s/CONFIG_A=y/CONFIG_A=m/ $(O)/.config";
    let makefile = makefile.replace("olddefconfig: ; @true", changed);
    kernel.write("source/Makefile", &makefile)?;
    let line = kernel.refusal()?;
    ensure!(line.contains("configuration"), "{line}");
    Ok(())
}

#[test]
fn another_rust_another_source_and_a_kernel_without_rust_are_refused() -> Result<()> {
    let kernel = Kernel::new()?;
    kernel.write("rustc", "#!/bin/sh\necho rustc 1.99.0\n")?;
    let line = kernel.refusal()?;
    ensure!(line.contains(RUSTC) && line.contains("1.99.0"), "{line}");

    let kernel = Kernel::new()?;
    for release in ["7.3.40", "7.2.12"] {
        kernel.write("headers/include/config/kernel.release", release)?;
        let line = kernel.refusal()?;
        ensure!(line.contains("7.3.4") && line.contains(release), "{line}");
    }

    let kernel = Kernel::new()?;
    kernel.write("headers/.config", "CONFIG_ARM64=y\n")?;
    let line = kernel.refusal()?;
    ensure!(line.contains("CONFIG_RUST"), "{line}");
    Ok(())
}

/// dkms asks before it decides whether to build.
#[test]
fn a_check_refuses_what_is_refused_and_writes_nothing() -> Result<()> {
    let kernel = Kernel::new()?;
    let check = Path::new("--check");
    kernel.run_for(check)?.map_err(anyhow::Error::msg)?;
    ensure!(!kernel.0.path().join("out").exists(), "it has compiled");

    std::fs::remove_file(kernel.0.path().join("library/core/src/lib.rs"))?;
    let refusal = kernel.run_for(check)?.err().context("not refused")?;
    ensure!(refusal.contains("rust-src"), "{refusal}");
    assert_eq!(kernel.refusal()?, refusal);
    Ok(())
}

#[test]
fn a_folder_that_is_not_one_of_headers_is_refused_by_what_it_lacks() -> Result<()> {
    for file in [".config", "Module.symvers", "include/config/kernel.release"] {
        let kernel = Kernel::new()?;
        std::fs::remove_file(kernel.0.path().join("headers").join(file))?;
        let line = kernel.refusal()?;
        ensure!(line.contains(file), "{line}");
    }
    Ok(())
}

#[test]
fn of_the_accelerators_drivers_those_are_built_that_the_kernel_lacks() -> Result<()> {
    const OF_KERNEL: [&str; 3] = ["QM", "ZIP", "HPRE"];
    let option = |name: &str| format!("CONFIG_CRYPTO_DEV_HISI_{name}");
    let kernel = Kernel::new()?;
    let config: String = OF_KERNEL
        .iter()
        .map(|name| format!("{}=m\n", option(name)))
        .collect();
    kernel.write("headers/include/config/auto.conf", &config)?;
    kernel.write("source/drivers/crypto/hisilicon/qm.c", "")?;
    kernel.write(
        "headers/Makefile",
        "modules: ; @echo '$(MAKEOVERRIDES)' >$(M)/overrides\n",
    )?;
    let out = kernel.0.path().join("out");
    kernel
        .run_script("accelerators.sh", &out)?
        .map_err(anyhow::Error::msg)?;
    ensure!(
        out.join("hisilicon/qm.c").is_file(),
        "the source is not there"
    );
    let overrides = std::fs::read_to_string(out.join("overrides"))?;
    let has = |word: &str| overrides.split_whitespace().any(|found| found == word);
    for name in OF_KERNEL {
        ensure!(has(&format!("{}=", option(name))), "{name}: {overrides}");
    }
    ensure!(has(&format!("{}=m", option("SEC2"))), "{overrides}");

    let all = format!("{config}{}=y\n", option("SEC2"));
    kernel.write("headers/include/config/auto.conf", &all)?;
    let refused = kernel.run_script("accelerators.sh", &out)?;
    ensure!(refused.is_err(), "a kernel that has all of them");

    kernel.write("headers/include/config/auto.conf", &config)?;
    kernel.write("headers/include/config/kernel.release", "7.3.40")?;
    let line = kernel.run_script("accelerators.sh", &out)?;
    let line = line.err().context("not refused")?;
    ensure!(line.contains("7.3.4") && line.contains("7.3.40"), "{line}");
    Ok(())
}
