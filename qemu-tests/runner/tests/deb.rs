// SPDX-License-Identifier: GPL-2.0

//! The Debian packages and the release tarball: what lintian says, and from what they can be built.

#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use common::{fact, output, top};

/// dkms, the packages and the tool have one version.
#[test]
fn the_packages_have_the_version_of_dkms_and_of_the_tool() -> Result<()> {
    let read = |file: &str| fs::read_to_string(top().join(file));
    let between = |text: &str, start: &str, end: &str| -> Result<String> {
        let (_, rest) = text
            .split_once(start)
            .with_context(|| format!("no {start}"))?;
        let (version, _) = rest.split_once(end).with_context(|| format!("no {end}"))?;
        Ok(version.to_owned())
    };
    let dkms = between(&read("dkms.conf")?, "PACKAGE_VERSION=\"", "\"")?;
    let packages = between(&read("packaging/debian/changelog")?, " (", ")")?;
    let tool = between(&read("tools/vfio-mig/Cargo.toml")?, "\nversion = \"", "\"")?;
    assert_eq!(packages, dkms);
    assert_eq!(tool, dkms);
    Ok(())
}

#[test]
fn lintian_has_no_complaint() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let built = output(Command::new(top().join("packaging/deb.sh")).arg(folder.path()))?;
    for package in ["dkms", "tool"] {
        ensure!(
            fact(package, &built)?.is_file(),
            "there is no {package}: {built}"
        );
    }
    let tags = "error,warning,info,pedantic,experimental";
    output(
        Command::new("lintian")
            .args(["--allow-root", "--info", "--pedantic", "--display-info"])
            .args(["--display-experimental", "--fail-on", tags])
            .arg(fact("changes", &built)?),
    )?;
    Ok(())
}

/// The tarball has all crates, and git is not needed. Nothing of cargo's is there but the tarball.
#[test]
fn a_release_builds_without_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| folder.path().join(name);
    let made = output(Command::new(top().join("packaging/dist.sh")).arg(place("dist")))?;
    let tarball = fact("tarball", &made)?;
    output(
        Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .arg("-xf")
            .arg(&tarball),
    )?;
    let name = tarball.file_stem().context("no name")?;
    let release = folder.path().join(Path::new(name).with_extension(""));

    // It is not optimized here, which takes the most time.
    let offline = |program: &Path| {
        let mut command = Command::new("unshare");
        command
            .arg("--net")
            .arg(program)
            .env("CARGO_HOME", place("cargo"))
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PACKAGES", place("no-packages"));
        command
    };
    let built = output(offline(&release.join("packaging/deb.sh")).arg(place("deb")))?;
    let here = output(
        Command::new("dpkg-deb")
            .arg("-c")
            .arg(fact("tool", &built)?),
    )?;
    ensure!(here.contains("/usr/bin/vfio-mig\n"), "{here}");

    let bitflags = output(&mut offline(&release.join("scripts/bitflags.sh")))?;
    let bitflags = Path::new(bitflags.trim_end());
    ensure!(
        bitflags.starts_with(release.join("vendor").canonicalize()?),
        "bitflags comes from {}",
        bitflags.display()
    );
    Ok(())
}
