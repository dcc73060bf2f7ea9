// SPDX-License-Identifier: GPL-2.0

//! The emulated host made ready: crypto drivers loaded, VFs enabled and bound.

use anyhow::{Context, Result};

use crate::Options;
use crate::modules::Modules;
use crate::sysfs::Function;
use crate::vfio::Kind;

/// Vendor of all that is emulated here.
pub(crate) const HUAWEI: u16 = 0x19e5;
const ZIP_PF: u16 = 0xa250;
/// The PCI device of a ZIP VF, also what the migration stream names.
pub(crate) const ZIP_VF: u16 = 0xa251;

/// Which of the two drivers the VFs are bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    C,
    Rust,
}

impl Driver {
    pub(crate) fn chosen(options: &Options) -> Result<Self> {
        Ok(match options.choice("driver", &["rust", "c"])? {
            "c" => Driver::C,
            _ => Driver::Rust,
        })
    }

    fn other(self) -> Self {
        match self {
            Driver::C => Driver::Rust,
            Driver::Rust => Driver::C,
        }
    }

    pub(crate) fn is_rust(self) -> bool {
        self == Driver::Rust
    }

    pub(crate) fn module(self) -> &'static str {
        match self {
            Driver::C => "hisi_acc_vfio_pci",
            Driver::Rust => "hisi_acc_vfio_pci_rs",
        }
    }
}

pub(crate) fn modules(options: &Options) -> Result<Modules> {
    Modules::find(options.choice("vfio", &["rust", "c"])? == "rust")
}

/// Loads the accelerator's own driver, and before it what its self-test needs.
pub(crate) fn load_zip(modules: &Modules, parameters: &str) -> Result<Function> {
    load_hisi_zip(modules, parameters)?;
    Function::find(HUAWEI, ZIP_PF)
}

/// As [`load_zip`], on a machine that has VFs without their PF.
pub(crate) fn load_hisi_zip(modules: &Modules, parameters: &str) -> Result<()> {
    // The crypto core asks for the manager that runs self-tests by name, with a helper program
    // that this machine does not have.
    modules.load("cryptomgr")?;
    // hisi_zip registers an algorithm that needs a software fallback.
    modules.load("deflate")?;
    modules.load_with("hisi_zip", parameters)
}

/// The PFs of all ZIP accelerators, in the order in which the machine has them.
pub(crate) fn zip_pfs() -> Result<Vec<Function>> {
    Function::find_all(HUAWEI, ZIP_PF)
}

/// Loads VFIO with the containers of both kinds.
pub(crate) fn load_vfio(modules: &Modules) -> Result<()> {
    modules.load("vfio")?;
    modules.load("vfio_iommu_type1")
}

/// The name by which the loaded module `name` has registered its PCI driver.
pub(crate) fn driver_of(name: &str) -> Result<String> {
    // A module is free in the name of its pci_driver, so look for the one that is its.
    for entry in std::fs::read_dir("/sys/bus/pci/drivers").context("listing PCI drivers")? {
        let path = entry?.path();
        let module = std::fs::read_link(path.join("module"));
        let fits = module.is_ok_and(|link| link.ends_with(name));
        if let (true, Some(name)) = (fits, path.file_name()) {
            return Ok(name.to_string_lossy().into_owned());
        }
    }
    anyhow::bail!("module {name} has registered no PCI driver")
}

/// A host with VFs that are bound to a migration driver.
pub(crate) struct Host {
    pub(crate) driver: Driver,
    pub(crate) kind: Kind,
    pub(crate) pf: Function,
    pub(crate) vfs: Vec<Function>,
}

impl Host {
    pub(crate) fn prepare(options: &Options, vfs: u32) -> Result<Self> {
        let driver = Driver::chosen(options)?;
        let kind = Kind::chosen(options)?;
        let modules = modules(options)?;
        let pf = load_zip(&modules, "")?;
        load_vfio(&modules)?;
        // The other side of a migration may have the other driver.
        let peer = match options.choice("peer", &["same", "other"])? {
            "other" => driver.other(),
            _ => driver,
        };
        modules.load(driver.module())?;
        modules.load(peer.module())?;
        pf.enable_vfs(vfs, false)?;
        let vfs: Vec<Function> = (0..vfs)
            .map(|index| pf.virtual_function(index))
            .collect::<Result<_>>()?;
        let host = Host {
            driver,
            kind,
            pf,
            vfs,
        };
        for (index, vf) in host.vfs.iter().enumerate() {
            let driver = if index == 1 { peer } else { driver };
            vf.bind(&Self::name_of(driver)?).context("binding a VF")?;
        }
        Ok(host)
    }

    /// The name by which the migration driver is registered on the PCI bus.
    pub(crate) fn driver_name(&self) -> Result<String> {
        Self::name_of(self.driver)
    }

    /// As [`Host::driver_name`], for any of the two once it is loaded.
    pub(crate) fn name_of(driver: Driver) -> Result<String> {
        driver_of(driver.module())
    }

    /// Whether the upper half of the VF's BAR2 is the hidden migration block (V3), and not just
    /// more function block (V4 on).
    pub(crate) fn hides_half_of_bar2(&self) -> Result<bool> {
        Ok(self.vfs[0].number("revision")? <= 0x30)
    }
}
