// SPDX-License-Identifier: GPL-2.0

//! `scripts/check-kdir.sh`: gives our options the values that Kconfig would give them, and refuses
//! a kernel against which modules cannot be built, in one line that says what it lacks.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const RUSTC: &str = "rustc 1.85.0 (4d91de4e4 2025-02-17)";

/// Options that a kernel needs for all modules of this project.
const NEEDED: [&str; 11] = [
    "64BIT",
    "ARM64",
    "CRYPTO_DEV_HISI_HPRE",
    "CRYPTO_DEV_HISI_QM",
    "CRYPTO_DEV_HISI_SEC2",
    "CRYPTO_DEV_HISI_ZIP",
    "PCI_MSI",
    "RUST",
    "VFIO",
    "VFIO_DEBUGFS",
    "VFIO_PCI_CORE",
];

/// The file of the kernel that is compiled with changes.
const VFIO_MAIN: &str = "drivers/vfio/vfio_main.c";

/// Its lines that the patch expects.
fn vfio_main() -> String {
    let patch = include_str!("../../../drivers/vfio/core_debugfs/vfio_main.patch");
    let hunks = patch.lines().skip_while(|line| !line.starts_with("@@"));
    let expected = |line: &str| {
        line.strip_prefix([' ', '-'])
            .map(|line| format!("{line}\n"))
    };
    hunks.filter_map(expected).collect()
}

/// A kernel's build folder, as far as the script looks at it.
struct BuildFolder {
    folder: TempDir,
    /// A file in it that lists symbols of other modules; empty if there is none.
    extra_symbols: &'static str,
}

impl BuildFolder {
    /// One of a kernel that has all of [`NEEDED`], but for `lacking`.
    fn lacking(lacking: &[&str]) -> Result<Self> {
        let folder = Self {
            folder: tempfile::tempdir()?,
            extra_symbols: "",
        };
        let options = NEEDED.iter().filter(|name| !lacking.contains(name));
        let mut config: String = options.map(|name| format!("CONFIG_{name}=m\n")).collect();
        config += "CONFIG_CC_IS_CLANG=y\n";
        config += &format!("CONFIG_RUSTC_VERSION_TEXT=\"{RUSTC}\"\n");
        folder.write("include/config/auto.conf", &config)?;
        folder.write("include/config/kernel.release", "7.3.4\n")?;
        for file in [
            "Makefile",
            "Module.symvers",
            "rust/bindgen_parameters",
            "rust/libkernel.rmeta",
        ] {
            folder.write(file, "x\n")?;
        }
        folder.write(VFIO_MAIN, &vfio_main())?;
        folder.bitflags("bitflags", "2.9.1")?;
        let tool = format!("#!/bin/sh\necho '{RUSTC}'\n");
        folder.write("tool", &tool)?;
        std::fs::set_permissions(
            folder.folder.path().join("tool"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        Ok(folder)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(file);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// Makes `name` look like the source of a version of the crate bitflags.
    fn bitflags(&self, name: &str, version: &str) -> Result<()> {
        let manifest = format!("[package]\nname = \"bitflags\"\nversion = \"{version}\"\n");
        self.write(&format!("{name}/Cargo.toml"), &manifest)?;
        self.write(&format!("{name}/src/lib.rs"), "")
    }

    fn without(self, file: &str) -> Result<Self> {
        std::fs::remove_file(self.folder.path().join(file))?;
        Ok(self)
    }

    fn check(&self, options: &[&str]) -> Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check-kdir.sh");
        let tool = self.folder.path().join("tool");
        let command = Command::new(script)
            .args(options)
            .env("KDIR", self.folder.path())
            .env("RUSTC", &tool)
            .env("BINDGEN", &tool)
            .env("BITFLAGS", self.folder.path().join("bitflags"))
            .env_remove("KSRC")
            .env(
                "KBUILD_EXTRA_SYMBOLS",
                match self.extra_symbols {
                    "" => PathBuf::new(),
                    name => self.folder.path().join(name),
                },
            )
            .output();
        Ok(command?)
    }

    /// The options that are on, and their values.
    fn options(&self, options: &[&str]) -> Result<BTreeMap<String, String>> {
        let output = self.check(options)?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "refused: {errors}");
        let mut on = BTreeMap::new();
        let text = String::from_utf8(output.stdout)?;
        let lines = text.lines();
        for line in lines.filter_map(|line| line.strip_prefix("CONFIG_")) {
            let (name, value) = line.split_once('=').context("no value")?;
            if !value.is_empty() {
                on.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(on)
    }

    /// The one line with which the kernel is refused.
    fn refusal(&self, options: &[&str]) -> Result<String> {
        let output = self.check(options)?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(!output.status.success(), "not refused");
        let mut lines = errors.lines();
        let line = lines.next_back().context("no reason")?;
        ensure!(line.starts_with("error: "), "not an error line: {line}");
        Ok(line.to_owned())
    }
}

fn on(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = options
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    owned.collect()
}

#[test]
fn defaults_are_those_of_kconfig() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    assert_eq!(
        folder.options(&[])?,
        on(&[
            ("VFIO_DEBUGFS_RUST", "y"),
            ("VFIO_DEBUGFS_HISTORY", "y"),
            ("HISI_ACC_VFIO_PCI_RS", "m"),
            ("HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS", "y"),
        ])
    );
    Ok(())
}

#[test]
fn given_values_replace_defaults() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    let given = [
        "HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS=n",
        "SAMPLE_VFIO_EDU_RUST=m",
        "VFIO_DEBUGFS_RUST=",
    ];
    assert_eq!(
        folder.options(&given)?,
        on(&[("HISI_ACC_VFIO_PCI_RS", "m"), ("SAMPLE_VFIO_EDU_RUST", "m")])
    );
    Ok(())
}

#[test]
fn an_option_goes_with_what_it_depends_on() -> Result<()> {
    let folder = BuildFolder::lacking(&["VFIO_DEBUGFS"])?;
    assert_eq!(folder.options(&[])?, on(&[("HISI_ACC_VFIO_PCI_RS", "m")]));
    let line = folder.refusal(&["VFIO_DEBUGFS_RUST=y"])?;
    ensure!(
        line.contains("CONFIG_VFIO_DEBUGFS_RUST needs CONFIG_VFIO_DEBUGFS"),
        "{line}"
    );

    let folder = BuildFolder::lacking(&[])?;
    assert_eq!(
        folder.options(&["HISI_ACC_VFIO_PCI_RS=n"])?,
        on(&[("VFIO_DEBUGFS_RUST", "y"), ("VFIO_DEBUGFS_HISTORY", "y")])
    );
    Ok(())
}

#[test]
fn a_kernel_without_what_the_driver_needs_is_refused_by_name() -> Result<()> {
    for name in ["CRYPTO_DEV_HISI_SEC2", "PCI_MSI", "VFIO_PCI_CORE"] {
        let line = BuildFolder::lacking(&[name])?.refusal(&[])?;
        let wanted = format!("CONFIG_HISI_ACC_VFIO_PCI_RS needs CONFIG_{name}, ");
        ensure!(line.contains(&wanted), "{line}");
    }
    let line = BuildFolder::lacking(&["ARM64"])?.refusal(&[])?;
    ensure!(
        line.contains("needs ARM64 || (COMPILE_TEST && 64BIT), "),
        "{line}"
    );
    let line = BuildFolder::lacking(&["RUST"])?.refusal(&[])?;
    ensure!(line.contains("without CONFIG_RUST"), "{line}");
    Ok(())
}

#[test]
fn compile_test_stands_in_for_the_architecture() -> Result<()> {
    let folder = BuildFolder::lacking(&["ARM64"])?;
    let config = folder.folder.path().join("include/config/auto.conf");
    let text = std::fs::read_to_string(&config)? + "CONFIG_COMPILE_TEST=y\n";
    std::fs::write(&config, text)?;
    ensure!(folder.options(&[])?.contains_key("HISI_ACC_VFIO_PCI_RS"));
    Ok(())
}

#[test]
fn a_folder_that_is_not_prepared_is_refused_by_what_it_lacks() -> Result<()> {
    for file in [
        "Makefile",
        "Module.symvers",
        "include/config/auto.conf",
        "rust/bindgen_parameters",
        "rust/libkernel.rmeta",
        VFIO_MAIN,
    ] {
        let line = BuildFolder::lacking(&[])?.without(file)?.refusal(&[])?;
        ensure!(line.contains(file), "{line}");
    }
    Ok(())
}

/// With the lines `old` of the configuration replaced by `new`.
fn configured(old: &str, new: &str) -> Result<BuildFolder> {
    let folder = BuildFolder::lacking(&[])?;
    let file = "include/config/auto.conf";
    let config = std::fs::read_to_string(folder.folder.path().join(file))?;
    ensure!(config.contains(old), "{config}");
    folder.write(file, &config.replace(old, new))?;
    Ok(folder)
}

/// libclang does not know all flags of GCC; the kernel's own files say which.
#[test]
fn b12_headers_of_a_kernel_of_gcc_are_refused_by_what_they_lack() -> Result<()> {
    let folder = configured("CONFIG_CC_IS_CLANG=y\n", "CONFIG_CC_IS_GCC=y\n")?;
    for file in ["rust/Makefile", "scripts/Makefile.clang"] {
        let line = folder.refusal(&[])?;
        ensure!(line.contains(&format!("lacks {file}, ")), "{line}");
        folder.write(file, "x\n")?;
    }
    folder.options(&[]).map(drop)
}

#[test]
fn b13_headers_without_the_bitcode_of_inlined_helpers_are_refused() -> Result<()> {
    let clang = "CONFIG_CC_IS_CLANG=y\n";
    let folder = configured(clang, &format!("{clang}CONFIG_RUST_INLINE_HELPERS=y\n"))?;
    let file = "rust/helpers/helpers_module.bc";
    let line = folder.refusal(&[])?;
    ensure!(line.contains(&format!("lacks {file}, ")), "{line}");
    folder.write(file, "x\n")?;
    folder.options(&[]).map(drop)
}

#[test]
fn a_vfio_main_that_the_patch_is_not_for_is_refused() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    let source = vfio_main();
    let moved = format!("/* a later version */\n{source}");
    folder.write(VFIO_MAIN, &moved)?;
    ensure!(folder.options(&[])?.contains_key("VFIO_DEBUGFS_HISTORY"));

    // Any line of its surroundings, as a later version may change it.
    for (number, line) in source
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let lines = source.lines().enumerate();
        let changed: String = lines
            .map(|(n, text)| format!("{text}{}\n", if n == number { " changed" } else { "" }))
            .collect();
        folder.write(VFIO_MAIN, &changed)?;
        let refusal = folder.refusal(&[]).with_context(|| line.to_owned())?;
        ensure!(
            refusal.contains(VFIO_MAIN) && refusal.contains("CONFIG_VFIO_DEBUGFS_HISTORY=n"),
            "{line:?} was changed: {refusal}"
        );
    }
    let on = folder.options(&["VFIO_DEBUGFS_HISTORY=n"])?;
    ensure!(on.contains_key("VFIO_DEBUGFS_RUST"), "{on:?}");
    Ok(())
}

#[test]
fn another_rust_and_another_linux_are_refused() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    folder.write("tool", "#!/bin/sh\necho rustc 1.99.0\n")?;
    let line = folder.refusal(&[])?;
    ensure!(line.contains(RUSTC) && line.contains("1.99.0"), "{line}");

    let folder = BuildFolder::lacking(&[])?;
    for release in ["6.12.5", "7.2.12+deb13-arm64", "7.2"] {
        folder.write("include/config/kernel.release", &format!("{release}\n"))?;
        let line = folder.refusal(&[])?;
        ensure!(line.contains(release), "{line}");
    }
    Ok(())
}

#[test]
fn a_later_linux_is_tried_with_a_warning() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    for (release, tested) in [
        ("7.3", true),
        ("7.3.4+deb13-arm64", true),
        ("7.30.1", false),
    ] {
        folder.write("include/config/kernel.release", &format!("{release}\n"))?;
        let output = folder.check(&[])?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{release}: {errors}");
        ensure!(errors.contains("WARN") != tested, "{release}: {errors}");
    }
    Ok(())
}

#[test]
fn a_kernel_without_vfio_debugfs_gets_it_with_vfio_ko() -> Result<()> {
    let folder = BuildFolder::lacking(&["VFIO_DEBUGFS"])?;
    let config = folder.folder.path().join("include/config/auto.conf");
    let text = std::fs::read_to_string(&config)? + "CONFIG_DEBUG_FS=y\n";
    std::fs::write(&config, text)?;
    assert_eq!(
        folder.options(&[])?,
        on(&[
            ("VFIO_DEBUGFS", "y"),
            ("VFIO_DEBUGFS_RUST", "y"),
            ("VFIO_DEBUGFS_HISTORY", "y"),
            ("HISI_ACC_VFIO_PCI_RS", "m"),
            ("HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS", "y"),
        ])
    );
    assert_eq!(
        folder.options(&["VFIO_DEBUGFS_RUST=n"])?,
        on(&[("HISI_ACC_VFIO_PCI_RS", "m")])
    );
    let line = folder.without("drivers/vfio/vfio_main.c")?.refusal(&[])?;
    ensure!(line.contains("KSRC="), "{line}");
    Ok(())
}

#[test]
fn drivers_of_the_accelerators_can_be_built_beside_the_kernel() -> Result<()> {
    let options = ["QM", "ZIP", "SEC2", "HPRE"].map(|name| format!("CRYPTO_DEV_HISI_{name}"));
    let mut folder = BuildFolder::lacking(&options.each_ref().map(String::as_str))?;
    ensure!(folder.refusal(&[])?.contains("CRYPTO_DEV_HISI_QM"));

    let symbols = |module| format!("0x00000000\thisi_qm_init\t{module}\tEXPORT_SYMBOL_GPL\t\n");
    folder.write("others", &symbols("drivers/another/not_hisi_qm"))?;
    folder.extra_symbols = "others";
    ensure!(folder.refusal(&[])?.contains("CRYPTO_DEV_HISI_QM"));

    folder.write("theirs", &symbols("drivers/crypto/hisilicon/hisi_qm"))?;
    folder.extra_symbols = "theirs";
    ensure!(folder.options(&[])?.contains_key("HISI_ACC_VFIO_PCI_RS"));

    folder.extra_symbols = "nowhere";
    let line = folder.refusal(&[])?;
    ensure!(line.contains("nowhere"), "{line}");
    Ok(())
}

/// Kbuild reads the file in another directory than the one that make was called in.
#[test]
fn symbols_of_other_modules_can_be_given_by_a_relative_path() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.write("theirs", "")?;
    folder.write(
        "Makefile",
        "modules: ; @echo '$(KBUILD_EXTRA_SYMBOLS)' >symbols\n",
    )?;
    let path = folder.folder.path();
    let given = |name: &str, file: &str| format!("{name}={}", path.join(file).display());
    let output = Command::new("make")
        .arg("-f")
        .arg(top.join("scripts/modules.mk"))
        .args(["modules", "KDIR=.", "KBUILD_EXTRA_SYMBOLS=theirs"])
        .args([given("RUSTC", "tool"), given("BINDGEN", "tool")])
        .arg(given("BITFLAGS", "bitflags"))
        .env_remove("MAKEFLAGS")
        .current_dir(path)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let given = std::fs::read_to_string(path.join("symbols"))?;
    ensure!(Path::new(given.trim()).is_absolute(), "{given}");
    ensure!(Path::new(given.trim()).ends_with("theirs"), "{given}");
    Ok(())
}

#[test]
fn options_that_there_are_not_are_refused() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    for option in [
        "HISI_ACC_VFIO=y",
        "VFIO_DEBUGFS_RUST=m",
        "HISI_ACC_VFIO_PCI_RS=yes",
    ] {
        let line = folder.refusal(&[option])?;
        let (name, _) = option.split_once('=').context("no value")?;
        ensure!(line.contains(name), "{line}");
    }
    Ok(())
}

/// Runs `scripts/bitflags.sh` where Debian's packages are in `folder` and there is no cargo.
fn bitflags(folder: &BuildFolder) -> Result<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/bitflags.sh");
    let programs = tempfile::tempdir()?;
    for name in ["bash", "dirname", "grep"] {
        let program = Path::new("/usr/bin").join(name);
        std::os::unix::fs::symlink(program, programs.path().join(name))?;
    }
    let command = Command::new(script)
        .env("CARGO_PACKAGES", folder.folder.path())
        .env("PATH", programs.path())
        .env_remove("BITFLAGS")
        .output();
    Ok(command?)
}

#[test]
fn bitflags_of_a_package_is_taken_if_its_version_serves() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?;
    folder.bitflags("bitflags-1.3.2", "1.3.2")?;
    let output = bitflags(&folder)?;
    ensure!(!output.status.success(), "version 1 was taken");
    let line = String::from_utf8(output.stderr)?;
    ensure!(
        line.lines().count() == 1 && line.contains("librust-bitflags-dev"),
        "{line}"
    );

    folder.bitflags("bitflags-2.9.1", "2.9.1")?;
    let output = bitflags(&folder)?;
    let found = String::from_utf8(output.stdout)?;
    assert_eq!(
        Path::new(found.trim_end()),
        folder.folder.path().join("bitflags-2.9.1")
    );
    Ok(())
}

#[test]
fn a_folder_without_bitflags_is_refused() -> Result<()> {
    let folder = BuildFolder::lacking(&[])?.without("bitflags/src/lib.rs")?;
    let line = folder.refusal(&[])?;
    ensure!(line.contains("BITFLAGS="), "{line}");
    let folder = BuildFolder::lacking(&[])?;
    folder.bitflags("bitflags", "1.3.2")?;
    ensure!(folder.refusal(&[])?.contains("BITFLAGS="));
    Ok(())
}
