// SPDX-License-Identifier: GPL-2.0

//! The Debian packages, on a host with a root of Debian: installed, used, upgraded, removed, purged.
//!
//! dkms finds the modules of both versions built, as this host has no compiler. Everything else is
//! Debian's: the scripts of the packages, dkms, depmod and modprobe.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;
use rustix::mount::{MountFlags, mount};
use serde_json::Value;
use vfio_client::Kind;
use vm::engine::ZIP;

use super::install::{alias, modprobe, switch, vfio_alias, works};
use crate::expect::equal;
use crate::host::{self, Driver, Host};
use crate::modules::{is_loaded, out_of_tree, unload};
use crate::scenario::libvirt::tie;
use crate::scenario::support::command::{execute, run as command};
use crate::scenario::support::debugfs::entries;

/// The packages: the modules, and the tool.
const NAMES: [&str; 2] = ["hisi-acc-vfio-dkms", "vfio-mig"];

/// By what dkms knows the modules.
const MODULES: &str = "hisi-acc-vfio-rs";

/// Where the scripts of a dkms package look for what was built elsewhere.
const BINARIES: &str = "/usr/share/hisi-acc-vfio-rs-dkms";

/// Where dkms of Debian installs.
const UPDATES: &str = "updates/dkms";

/// The versions of the packages, the older one first, each in a folder.
fn versions() -> Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir("/packages")? {
        versions.push(entry?.file_name().to_string_lossy().into_owned());
    }
    versions.sort();
    Ok(versions)
}

fn dpkg_installs(version: &str) -> Result<()> {
    let mut words = vec!["dpkg".to_owned(), "--install".to_owned()];
    for entry in fs::read_dir(Path::new("/packages").join(version))? {
        words.push(entry?.path().to_string_lossy().into_owned());
    }
    command(&words).map(drop)
}

/// Files by path, with a hash of their content.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    for path in entries(folder)? {
        if path.is_file() && !path.is_symlink() {
            let mut hasher = DefaultHasher::new();
            fs::read(&path)?.hash(&mut hasher);
            found.insert(path, hasher.finish());
        }
    }
    Ok(found)
}

/// The kernel before anything is installed.
struct Stock {
    modules: PathBuf,
    files: BTreeMap<PathBuf, u64>,
    /// Whether the kernel has the drivers of the accelerators. Debian's leaves them out, with that of
    /// VFIO.
    has_accelerators: bool,
}

impl Stock {
    fn of_this_kernel() -> Result<Self> {
        let modules = tie::modules()?;
        command(&["depmod"])?;
        let files = files(&modules)?;
        let dependencies = sysfs::read(modules.join("modules.dep"))?;
        Ok(Self {
            modules,
            files,
            has_accelerators: dependencies.contains("/hisi_zip.ko"),
        })
    }

    fn is_as_before(&self) -> Result<()> {
        ensure!(
            files(&self.modules)? == self.files,
            "the modules have changed"
        );
        Ok(())
    }
}

/// The modules of this version are installed beside the stock ones, and no others.
fn installed(version: &str, stock: &Stock) -> Result<()> {
    for name in NAMES {
        let format = "--showformat=${db:Status-Status} ${Version}";
        let status = command(&["dpkg-query", "--show", format, name])?;
        equal(name, status, format!("installed {version}"))?;
    }
    let release = sysfs::read("/proc/sys/kernel/osrelease")?;
    let line = format!(
        "{MODULES}/{version}, {}, aarch64: installed",
        release.trim()
    );
    let status = command(&["dkms", "status"])?;
    ensure!(
        status.starts_with(&line) && status.lines().count() == 1,
        "not `{line}` alone: {status}"
    );
    // vfio.ko and the driver, hisi_qm and the drivers of three engines
    let (count, drivers) = match stock.has_accelerators {
        true => (2, vec![Driver::C, Driver::Rust]),
        false => (6, vec![Driver::Rust]),
    };
    equal("modules", files(&stock.modules.join(UPDATES))?.len(), count)?;
    let aliases = sysfs::read(stock.modules.join("modules.alias"))?;
    let order = drivers.into_iter().map(host::module_of).collect();
    equal("aliases", tie::drivers(&aliases), order)
}

/// VFIO's core is the kernel's own, or else this project's.
fn core_is_ours(ours: bool) -> Result<()> {
    equal("vfio", out_of_tree("vfio")?, ours)
}

/// Unloads all of VFIO. `modprobe -r` would go on to the drivers of the accelerators, on which the VFIO
/// drivers depend, and the VFs would be gone.
fn unloaded() -> Result<()> {
    let drivers = [Driver::Rust, Driver::C].map(host::module_of);
    let stock = ["vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio"];
    for module in drivers.into_iter().chain(stock) {
        if is_loaded(module) {
            unload(module)?;
        }
    }
    Ok(())
}

/// A VM works on the VF with this driver.
fn used(vf: &Function, driver: Driver, kind: Kind) -> Result<()> {
    modprobe(&vfio_alias(vf)?)?;
    modprobe("vfio_iommu_type1")?;
    core_is_ours(driver.is_rust())?;
    switch(vf, driver, kind)
}

/// As [`used`], with what is there without the packages.
fn used_with_stock(vf: &Function, stock: &Stock, kind: Kind) -> Result<()> {
    if stock.has_accelerators {
        return used(vf, Driver::C, kind);
    }
    modprobe("vfio-pci")?;
    modprobe("vfio_iommu_type1")?;
    core_is_ours(false)?;
    vf.bind("vfio-pci")?;
    works(vf, kind)
}

fn tool_sees(driver: Driver) -> Result<()> {
    let answer: Value = serde_json::from_str(&command(&["vfio-mig", "--json", "list"])?)?;
    let text = answer.to_string();
    let name = Host::name_of(driver)?;
    ensure!(text.contains(&format!("\"{name}\"")), "no {name}: {text}");
    Ok(())
}

/// What has the project's name, outside of the kernel's modules and of what the test brings along.
fn left_behind() -> Result<String> {
    let names = ["-name", "*hisi-acc-vfio*", "-o", "-name", "*vfio-mig*"];
    let brought = ["-path", "/usr/lib/modules", "-o", "-path", BINARIES];
    let words = [
        &["find", "/etc", "/usr", "/var", "("],
        &brought[..],
        &[")", "-prune", "-o", "("],
        &names[..],
        &[")", "-print"],
    ];
    command(&words.concat())
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let kind = host::container_of(setup);
    fs::create_dir_all("/run")?;
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).context("cannot mount /run")?;
    let stock = Stock::of_this_kernel()?;
    let versions = versions()?;
    let [first, upgrades @ ..] = &versions[..] else {
        bail!("there is no package");
    };

    let done = report.point("installed", || {
        dpkg_installs(first)?;
        installed(first, &stock)
    });
    ensure!(done, "the packages are not installed");
    modprobe("cryptomgr")?;
    for software in ZIP.software {
        modprobe(software)?;
    }
    let pf = host::pf(&ZIP)?;
    modprobe(&alias(&pf)?)?;
    host::end_of_self_tests(ZIP.module)?;
    pf.enable_vfs(1, false)?;
    let vf = pf.virtual_function(0)?;
    report.point(
        "a VM works with the Rust driver, and the tool sees it",
        || {
            used(&vf, Driver::Rust, kind)?;
            tool_sees(Driver::Rust)?;
            vf.unbind()?;
            unloaded()
        },
    );
    let mut old = first;
    for version in upgrades {
        report.point("upgraded", || {
            dpkg_installs(version)?;
            installed(version, &stock)?;
            let old = format!("/usr/src/{MODULES}-{old}");
            equal("the old source is there", Path::new(&old).exists(), false)
        });
        report.point("a VM works with the upgraded driver", || {
            used(&vf, Driver::Rust, kind)?;
            tool_sees(Driver::Rust)?;
            vf.unbind()?;
            unloaded()
        });
        old = version;
    }
    report.point("removed: the modules are as before", || {
        command(&["dpkg", "--remove", NAMES[0], NAMES[1]])?;
        stock.is_as_before()?;
        used_with_stock(&vf, &stock, kind)?;
        equal(
            "the Rust driver is loaded",
            is_loaded(host::module_of(Driver::Rust)),
            false,
        )?;
        vf.unbind()?;
        unloaded()
    });
    report.point("purged: nothing is left", || {
        command(&["dpkg", "--purge", NAMES[0], NAMES[1]])?;
        for name in NAMES {
            let (line, output) = execute(&["dpkg-query", "--show", name])?;
            if output.status.success() {
                bail!("{line}: it is known");
            }
        }
        equal("left behind", left_behind()?.as_str(), "")?;
        stock.is_as_before()
    });
    sysfs::write(pf.path("sriov_numvfs"), "0")?;
    // The C driver has worked here too.
    ZIP0.report_violations(report, false);
    Ok(())
}
