// SPDX-License-Identifier: GPL-2.0

//! What `make` has built and where: read from the file that `scripts/prepare.sh` writes.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// Whose QEMU can be the VM monitor: that of a suite of Debian, or our own build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 13.
    Trixie,
    /// Packages that are newer than those of Debian 13 and were built for it.
    TrixieBackports,
    /// Not Debian's: built here, with the fixes of `qemu-tests/monitor-qemu/patches`. It is there
    /// only if it was asked for.
    Fixed,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 3] = [Suite::Trixie, Suite::TrixieBackports, Suite::Fixed];
    /// Those that are always there.
    pub const DEBIAN: [Self; 2] = [Suite::Trixie, Suite::TrixieBackports];
}

impl Display for Suite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Suite::Trixie => "trixie",
            Suite::TrixieBackports => "trixie-backports",
            Suite::Fixed => "fixed",
        })
    }
}

impl FromStr for Suite {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|suite| suite.to_string() == name);
        found.with_context(|| {
            format!(
                "there is no QEMU of {name} here, but of {}",
                Self::ALL.map(|one| one.to_string()).join(", ")
            )
        })
    }
}

/// The pieces a machine is put together from.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// QEMU with the accelerator linked in.
    pub qemu: PathBuf,
    /// A test of its SMMU.
    pub httu_test: PathBuf,
    /// The kernel's build folder.
    pub kernel: PathBuf,
    /// The arm64 kernel image.
    pub image: PathBuf,
    /// The initramfs: init, shell and modules.
    pub initrd: PathBuf,
    /// As `initrd`, with a VM monitor and what its guests boot: of Debian 13.
    pub initrd_trixie: PathBuf,
    /// The same with that of its backports.
    pub initrd_trixie_backports: PathBuf,
    /// The same with that of our own build, if it was asked for.
    pub initrd_fixed: PathBuf,
    /// With a root of Debian that has libvirt and its QEMU, and with the modules installed, if it was
    /// asked for.
    pub initrd_libvirt: PathBuf,
    /// As `initrd_trixie`, with guests that have Debian's kernel and programs, if it was asked for.
    pub initrd_workloads: PathBuf,
    /// Where all that is made here goes.
    pub out: PathBuf,
    /// Where the machines' logs go.
    pub logs: PathBuf,
    /// Whether this is a kernel with run-time checkers, in which everything is slower.
    pub debug: bool,
    /// Whether its checker is KCSAN, which excludes KASAN.
    pub kcsan: bool,
    /// Whether the kernel has the fixes of `qemu-tests/kernel/patches`.
    pub fixed: bool,
    /// Whether the kernel has IOMMUFD, without which VFIO cannot log DMA either.
    pub iommufd: bool,
    /// Whether its pages are of 64 KiB.
    pub pages_64k: bool,
    /// Whether it takes only modules that are signed with the key in its build folder.
    pub signed: bool,
    /// Whether the kernel is the one that Debian ships.
    pub debian: bool,
    /// Set if the kernel was built by the compilers of Debian 13.
    pub debian13: Option<Debian13>,
}

/// What is needed to build modules for a kernel that was built by the compilers of Debian 13.
#[derive(Clone, Debug)]
pub struct Debian13 {
    /// The kernel's source.
    pub source: PathBuf,
    /// The symbols that the drivers that were built beside the kernel export, if there are such
    /// drivers.
    pub symbols: Option<PathBuf>,
}

impl Artifacts {
    /// Those of the kernel variant named by `KERNEL` (`normal` if unset).
    pub fn load() -> Result<Self> {
        let variant = std::env::var("KERNEL").unwrap_or_else(|_| "normal".into());
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let root = top.context("this crate has no top folder")?.join("build");
        Self::read(root.join(&variant), &variant)
    }

    /// How many times longer than with the normal kernel everything takes.
    pub fn slowness(&self) -> u32 {
        if self.debug { 8 } else { 1 }
    }

    /// Whether the kernel is that of `debug.config`: KASAN, and other checks that the one with
    /// KCSAN does without.
    pub fn kasan(&self) -> bool {
        self.debug && !self.kcsan
    }

    /// The initramfs with the VM monitor of that suite.
    pub fn initrd_vmm(&self, suite: Suite) -> &Path {
        match suite {
            Suite::Trixie => &self.initrd_trixie,
            Suite::TrixieBackports => &self.initrd_trixie_backports,
            Suite::Fixed => &self.initrd_fixed,
        }
    }

    fn read(out: PathBuf, variant: &str) -> Result<Self> {
        let path = &out.join("artifacts");
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} is not there; `make prepare` builds it", path.display())
        })?;
        let map: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once('=')).collect();
        let get = |key: &str| -> Result<PathBuf> {
            let file = PathBuf::from(
                map.get(key)
                    .with_context(|| format!("{} has no line `{key}=`", path.display()))?,
            );
            if !file.exists() {
                bail!("{} is gone; `make prepare` builds it again", file.display());
            }
            Ok(file)
        };
        let config = std::fs::read_to_string(get("kernel")?.join(".config"))?;
        let has = |option: &str| {
            let value = |line: &str| {
                line.strip_prefix(option)?
                    .strip_prefix('=')
                    .map(str::to_owned)
            };
            let mut values = config.lines().filter_map(value);
            values.any(|value| matches!(value.as_str(), "y" | "m"))
        };
        let debian = variant == "debian";
        Ok(Self {
            qemu: get("qemu")?,
            httu_test: get("httu_test")?,
            kernel: get("kernel")?,
            image: get("image")?,
            initrd: get("initrd")?,
            initrd_trixie: get("initrd_trixie")?,
            initrd_trixie_backports: get("initrd_trixie-backports")?,
            initrd_fixed: out.join("initrd-fixed.cpio"),
            initrd_libvirt: out.join("initrd-libvirt.cpio"),
            initrd_workloads: out.join("initrd-workloads.cpio"),
            logs: get("logs")?,
            out,
            debug: matches!(variant, "debug" | "kcsan"),
            kcsan: variant == "kcsan",
            fixed: variant == "fixed",
            iommufd: has("CONFIG_IOMMUFD"),
            pages_64k: has("CONFIG_ARM64_64K_PAGES"),
            signed: has("CONFIG_MODULE_SIG_FORCE"),
            debian,
            debian13: match variant {
                "debian" | "gcc64k" => Some(Debian13 {
                    source: get("source")?,
                    symbols: match debian {
                        true => Some(get("kernel")?.join("accelerators/Module.symvers")),
                        false => None,
                    },
                }),
                _ => None,
            },
        })
    }
}
