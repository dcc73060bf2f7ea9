// SPDX-License-Identifier: GPL-2.0

//! dkms with a tree of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::top;

/// A dkms tree of its own, to which the modules are added.
pub struct Dkms {
    place: TempDir,
    module: String,
}

impl Dkms {
    /// With those of the project's files and folders as the modules' source.
    pub fn with(files: &[&str]) -> Result<Self> {
        Self::filled("0.1.0", |source| {
            let copied = Command::new("cp")
                .arg("-rt")
                .arg(source)
                .args(files.iter().map(|file| top().join(file)))
                .status()?;
            ensure!(copied.success(), "cannot copy {files:?}");
            Ok(())
        })
    }

    /// With what is in a package as the source, which has this version.
    pub fn of_package(package: &Path, version: &str) -> Result<Self> {
        Self::filled(version, |source| {
            let root = tempfile::tempdir()?;
            let unpacked = Command::new("dpkg-deb")
                .arg("-x")
                .args([package, root.path()])
                .status()?;
            ensure!(unpacked.success(), "cannot unpack {}", package.display());
            let from = format!("usr/src/hisi-acc-vfio-rs-{version}/.");
            let copied = Command::new("cp")
                .arg("-r")
                .arg(root.path().join(from))
                .arg(source)
                .status()?;
            ensure!(copied.success(), "it has no source of {version}");
            Ok(())
        })
    }

    fn filled(version: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let dkms = Self {
            place: tempfile::tempdir()?,
            module: format!("hisi-acc-vfio-rs/{version}"),
        };
        dkms.folder("tree")?;
        fill(&dkms.folder(&format!("src/{}", dkms.module.replace('/', "-")))?)?;
        ensure!(dkms.run("add", &[])? == 0, "dkms add fails");
        Ok(dkms)
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.place.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Writes a file to the modules' source.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let source = self.folder(&format!("src/{}", self.module.replace('/', "-")))?;
        Ok(std::fs::write(source.join(file), text)?)
    }

    /// Runs an action of dkms. Returns its status.
    pub fn run(&self, action: &str, arguments: &[&str]) -> Result<i32> {
        self.run_by(Command::new("dkms"), action, arguments)
    }

    fn run_by(&self, mut dkms: Command, action: &str, arguments: &[&str]) -> Result<i32> {
        let folder = |name: &str| self.place.path().join(name);
        let output = dkms
            .args([action, &self.module])
            .arg("--dkmstree")
            .arg(folder("tree"))
            .arg("--sourcetree")
            .arg(folder("src"))
            .args(arguments)
            .output()?;
        let log = folder("tree").join(&self.module).join("build/make.log");
        println!(
            "{}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            std::fs::read_to_string(log).unwrap_or_default()
        );
        output.status.code().context("dkms was killed")
    }

    /// Builds for a kernel of this release with these headers. Returns dkms' status.
    pub fn build(&self, release: &str, headers: &Path) -> Result<i32> {
        self.build_by(Command::new("dkms"), release, headers)
    }

    /// As [`Self::build`], with this folder in place of /etc/dkms.
    pub fn build_with(&self, settings: &Path, release: &str, headers: &Path) -> Result<i32> {
        let mut dkms = Command::new("unshare");
        dkms.args(["--mount", "sh", "-ec"])
            .arg("mount --bind \"$0\" /etc/dkms; exec dkms \"$@\"")
            .arg(settings);
        self.build_by(dkms, release, headers)
    }

    fn build_by(&self, dkms: Command, release: &str, headers: &Path) -> Result<i32> {
        let headers = headers.to_str().context("not UTF-8")?;
        let kernel = ["-k", release, "-a", "aarch64", "--kernelsourcedir", headers];
        self.run_by(dkms, "build", &kernel)
    }

    /// Where the modules are that were built for a kernel.
    pub fn built(&self, release: &str) -> Result<PathBuf> {
        self.folder(&format!("tree/{}/{release}/aarch64/module", self.module))
    }

    /// The modules that were built for a kernel.
    pub fn modules(&self, release: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.built(release)?)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}
