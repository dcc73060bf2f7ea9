// SPDX-License-Identifier: GPL-2.0

//! The emulated host made ready: crypto drivers loaded, VFs enabled and bound.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use linux::sysfs::{self, Function};
pub(crate) use protocol::Driver;
use protocol::{Container, Peer, Setup};
use vfio_client::Kind;
use vm::engine::{Accelerator, ZIP};

use crate::expect;
use crate::modules::{Modules, out_of_tree};

/// Vendor of all that is emulated here.
pub(crate) const HUAWEI: u16 = 0x19e5;

/// The module of a driver that VFs can be bound to.
pub(crate) fn module_of(driver: Driver) -> &'static str {
    match driver {
        Driver::C => "hisi_acc_vfio_pci",
        Driver::Rust => "hisi_acc_vfio_pci_rs",
    }
}

/// How VFIO devices are opened.
pub(crate) fn container_of(setup: &Setup) -> Kind {
    match setup.container.unwrap_or_default() {
        Container::Type1 => Kind::Type1,
        Container::Iommufd => Kind::Iommufd,
    }
}

pub(crate) fn modules(setup: &Setup) -> Result<Modules> {
    Modules::find(our_vfio(setup))
}

/// Whether VFIO's core is to be ours.
fn our_vfio(setup: &Setup) -> bool {
    setup.vfio.unwrap_or_default().is_rust()
}

/// Whether VFIO's core and the VFs' driver are those that were chosen, ours or the kernel's.
pub(crate) fn has_chosen_modules(setup: &Setup) -> Result<()> {
    let driver = setup.driver.unwrap_or_default();
    let chosen = [
        ("vfio", our_vfio(setup)),
        (module_of(driver), driver.is_rust()),
    ];
    for (module, ours) in chosen {
        expect::equal(module, out_of_tree(module)?, ours)?;
    }
    Ok(())
}

/// Loads ZIP's own driver, and before it what its self-test needs.
pub(crate) fn load_zip(modules: &Modules, parameters: &str) -> Result<Function> {
    load(modules, &ZIP, parameters)
}

/// Loads the accelerator's own driver, and before it what its self-tests need; the PF.
pub(crate) fn load(
    modules: &Modules,
    accelerator: &Accelerator,
    parameters: &str,
) -> Result<Function> {
    load_driver(modules, accelerator, parameters)?;
    pf(accelerator)
}

/// The machine's only accelerator of this kind.
pub(crate) fn pf(accelerator: &Accelerator) -> Result<Function> {
    Function::find(HUAWEI, accelerator.pf)
}

/// Loads what runs the self-tests of whatever is loaded from now on.
pub(crate) fn load_self_tests(modules: &Modules) -> Result<()> {
    // The crypto core asks for it by name, with a helper program that this machine does not have.
    modules.load("cryptomgr")
}

/// As [`load`], on a machine that has VFs without their PF.
pub(crate) fn load_driver(
    modules: &Modules,
    accelerator: &Accelerator,
    parameters: &str,
) -> Result<()> {
    load_self_tests(modules)?;
    for software in accelerator.software {
        if modules.has(software) {
            modules.load(software)?;
        }
    }
    modules.load_with(accelerator.module, parameters)
}

/// Driver name and self-test result of the algorithms that `module` has registered.
pub(crate) fn algorithms(module: &str) -> Result<BTreeMap<String, String>> {
    let text = sysfs::read("/proc/crypto")?;
    let mut found = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let value = |wanted: &str| {
            paragraph
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.trim() == wanted)
                .map(|(_, value)| value.trim().to_owned())
        };
        if value("module").as_deref() == Some(module) {
            let driver = value("driver").context("an algorithm without driver")?;
            found.insert(driver, value("selftest").unwrap_or_default());
        }
    }
    Ok(found)
}

/// Waits until the self-tests of everything that `module` has registered are over, and all others:
/// templates are tested with the accelerator as well, if they are instances around its algorithms.
pub(crate) fn end_of_self_tests(module: &str) -> Result<()> {
    expect::eventually("the self-tests to end", Duration::from_secs(120), || {
        let text = sysfs::read("/proc/crypto")?;
        let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(!pairs.any(|(key, value)| (key.trim(), value.trim()) == ("selftest", "unknown")))
    })
    .with_context(|| format!("{:?}", algorithms(module)))
}

/// The PFs of all accelerators of this kind, in the order in which the machine has them.
pub(crate) fn pfs(accelerator: &Accelerator) -> Result<Vec<Function>> {
    Function::find_all(HUAWEI, accelerator.pf)
}

/// Whether this kernel's VFIO can log DMA, once VFIO is loaded. It does that with IOMMUFD, which some
/// distributions leave out.
pub(crate) fn can_log_dma() -> bool {
    Kind::newest() == Kind::Iommufd
}

/// Why something is not tested where [`can_log_dma`] is false.
pub(crate) const NO_IOMMUFD: &str = "the kernel has no IOMMUFD";

/// Loads VFIO with the containers of both kinds.
pub(crate) fn load_vfio(modules: &Modules) -> Result<()> {
    modules.load("vfio")?;
    modules.load("vfio_iommu_type1")
}

/// Loads a VFIO driver of the accelerators' VFs.
fn load_vfio_driver(modules: &Modules, setup: &Setup, driver: Driver) -> Result<()> {
    let parameters = match setup.dma_logging {
        Some(value) if driver.is_rust() => format!("dma_logging={value}"),
        _ => String::new(),
    };
    modules.load_with(module_of(driver), &parameters)
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
    pub(crate) accelerator: &'static Accelerator,
    pub(crate) driver: Driver,
    /// The driver of the second VF.
    peer: Driver,
    pub(crate) kind: Kind,
    pub(crate) pf: Function,
    pub(crate) vfs: Vec<Function>,
}

impl Host {
    /// A host with ZIP VFs.
    pub(crate) fn prepare(setup: &Setup, vfs: u32) -> Result<Self> {
        Self::with(setup, &ZIP, vfs)
    }

    /// A host with VFs of an accelerator. It may be called once for each accelerator.
    pub(crate) fn with(setup: &Setup, accelerator: &'static Accelerator, vfs: u32) -> Result<Self> {
        let pf = load(&modules(setup)?, accelerator, "")?;
        Self::on(setup, accelerator, pf, vfs)
    }

    /// A host with VFs of this PF, whose driver is loaded.
    pub(crate) fn on(
        setup: &Setup,
        accelerator: &'static Accelerator,
        pf: Function,
        vfs: u32,
    ) -> Result<Self> {
        let driver = setup.driver.unwrap_or_default();
        let kind = container_of(setup);
        let modules = modules(setup)?;
        // They would get in the way of the VFs' work.
        end_of_self_tests(accelerator.module)?;
        load_vfio(&modules)?;
        // The other side of a migration may have the other driver.
        let peer = match setup.peer.unwrap_or_default() {
            Peer::Other => driver.other(),
            Peer::Same => driver,
        };
        load_vfio_driver(&modules, setup, driver)?;
        load_vfio_driver(&modules, setup, peer)?;
        pf.enable_vfs(vfs, false)?;
        let vfs: Vec<Function> = (0..vfs)
            .map(|index| pf.virtual_function(index))
            .collect::<Result<_>>()?;
        let host = Host {
            accelerator,
            driver,
            peer,
            kind,
            pf,
            vfs,
        };
        for (index, vf) in host.vfs.iter().enumerate() {
            let name = Self::name_of(host.driver_of(index))?;
            vf.bind(&name).context("binding a VF")?;
        }
        Ok(host)
    }

    /// The driver that a VF is bound to.
    pub(crate) fn driver_of(&self, vf: usize) -> Driver {
        if vf == 1 { self.peer } else { self.driver }
    }

    /// The name by which the migration driver is registered on the PCI bus.
    pub(crate) fn driver_name(&self) -> Result<String> {
        Self::name_of(self.driver)
    }

    /// As [`Host::driver_name`], for any of the two once it is loaded.
    pub(crate) fn name_of(driver: Driver) -> Result<String> {
        driver_of(module_of(driver))
    }

    /// Whether nothing that works here is known to violate the device's rules. The C driver does,
    /// on hardware V4: it saves with two doorbells beyond the VF's window.
    pub(crate) fn is_clean(&self) -> Result<bool> {
        let ours = self.driver.is_rust() && self.peer.is_rust();
        Ok(ours || self.hides_half_of_bar2()?)
    }

    /// Whether the upper half of the VF's BAR2 is the hidden migration block (V3), and not just
    /// more function block (V4 on).
    pub(crate) fn hides_half_of_bar2(&self) -> Result<bool> {
        Ok(self.vfs[0].number("revision")? <= 0x30)
    }
}
