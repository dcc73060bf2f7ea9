// SPDX-License-Identifier: GPL-2.0

//! Which files matter.

use anyhow::Result;

use super::copy::Copy;
use crate::device::{self, CLASS, DEBUGFS, Device};
use crate::kernel_config;

/// Modules whose parameters matter.
const MODULES: [&str; 10] = [
    "vfio",
    "vfio_pci",
    "vfio_pci_core",
    "vfio_iommu_type1",
    "iommufd",
    "hisi_acc_vfio_pci",
    "hisi_acc_vfio_pci_rs",
    "hisi_zip",
    "hisi_sec2",
    "hisi_hpre",
];

/// Files of a PCI function.
const OF_FUNCTION: [&str; 11] = [
    "class",
    "device",
    "driver_override",
    "numa_node",
    "power/runtime_status",
    "resource",
    "revision",
    "sriov_numvfs",
    "sriov_totalvfs",
    "uevent",
    "vendor",
];

/// Links of a device.
const LINKS: [&str; 4] = ["driver", "iommu_group", "physfn", "subsystem"];

/// The C driver, which gives commands to the guest's mailbox for a file to be read.
const C_DRIVER: &str = "hisi_acc_vfio_pci";

/// The file that it does so for.
const DISTURBING: &str = "dev_data";

/// The files of a device's migration that can be read while the driver does not answer.
const WITHOUT_WAITING: [&str; 2] = ["features", "history"];

/// Copies the files that are not of a device.
pub(super) fn of_host(copy: &mut Copy<'_>) -> Result<()> {
    for file in [
        "/proc/version",
        "/proc/sys/kernel/osrelease",
        "/proc/self/limits",
    ] {
        copy.file(file)?;
    }
    for node in ["/dev/vfio/vfio", "/dev/iommu", "/dev/kvm"] {
        copy.node(node)?;
    }
    if let Some(options) = kernel_config::relevant(copy.root) {
        copy.text(kernel_config::SAVED, &options)?;
    }
    for module in MODULES {
        let folder = format!("/sys/module/{module}");
        for file in ["srcversion", "version"] {
            copy.file(&format!("{folder}/{file}"))?;
        }
        let parameters = format!("{folder}/parameters");
        for name in copy.root.names(&parameters).unwrap_or_default() {
            copy.file(&format!("{parameters}/{name}"))?;
        }
    }
    match copy.root.names(DEBUGFS) {
        Ok(_) => copy.folder(DEBUGFS),
        Err(_) => copy.file(DEBUGFS),
    }
}

/// Copies the files of a device and of its PF.
pub(super) fn of_device(copy: &mut Copy<'_>, device: &Device) -> Result<()> {
    let name = &device.name;
    if let Some((_, folder)) = device::folder(copy.root, name) {
        of_function(copy, &folder)?;
        if let Some(vfio) = &device.vfio_device {
            copy.file(&format!("{folder}/vfio-dev/{vfio}/uevent"))?;
            copy.link(&format!("{CLASS}/{vfio}"))?;
        }
    }
    if let Some(pf) = &device.pf {
        of_function(copy, &format!("/sys/bus/pci/devices/{}", pf.name))?;
    }
    if let Some(group) = &device.iommu_group {
        let folder = format!("/sys/kernel/iommu_groups/{group}");
        copy.file(&format!("{folder}/type"))?;
        for member in copy
            .root
            .names(&format!("{folder}/devices"))
            .unwrap_or_default()
        {
            copy.link(&format!("{folder}/devices/{member}"))?;
            copy.link(&format!("/sys/bus/pci/devices/{member}/driver"))?;
        }
    }
    let is_c = device.driver.as_deref() == Some(C_DRIVER);
    let hangs = device.hanging_request().is_some();
    tree(copy, &format!("{DEBUGFS}/{name}"), &|file| {
        is_c && file == DISTURBING || hangs && !WITHOUT_WAITING.contains(&file)
    })
}

fn of_function(copy: &mut Copy<'_>, folder: &str) -> Result<()> {
    for file in OF_FUNCTION {
        copy.file(&format!("{folder}/{file}"))?;
    }
    for link in LINKS {
        copy.link(&format!("{folder}/{link}"))?;
    }
    Ok(())
}

/// Copies all files below a folder of debugfs, except those that are left out.
fn tree(copy: &mut Copy<'_>, folder: &str, is_left_out: &dyn Fn(&str) -> bool) -> Result<()> {
    let Ok(names) = copy.root.names(folder) else {
        return Ok(());
    };
    copy.folder(folder)?;
    for name in names {
        let path = format!("{folder}/{name}");
        let place = copy.root.path(&path);
        if place.is_dir() && !place.is_symlink() {
            tree(copy, &path, is_left_out)?;
        } else if !is_left_out(&name) {
            copy.file(&path)?;
        }
    }
    Ok(())
}
