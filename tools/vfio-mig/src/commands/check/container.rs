// SPDX-License-Identifier: GPL-2.0

//! Checks of the IOMMU and of the container that QEMU is to use.

use super::{Line, Subject};
use crate::hisi::attr::DirtyTracking;

pub(super) fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = vec![iommu(subject)];
    lines.extend(parameter(subject));
    lines.push(container(subject));
    lines
}

/// The group must exist, and all of its devices must be VFIO's.
fn iommu(subject: &Subject<'_>) -> Line {
    let name = "IOMMU group";
    let Some(group) = &subject.device.iommu_group else {
        return Line::fail(
            name,
            "none",
            "enable the SMMU in the firmware and the kernel (CONFIG_ARM_SMMU_V3)",
        );
    };
    let root = subject.root;
    let members = root.names(&format!("/sys/kernel/iommu_groups/{group}/devices"));
    let drivers = members
        .unwrap_or_default()
        .into_iter()
        .filter_map(|member| {
            let driver = root.link_name(&format!("/sys/bus/pci/devices/{member}/driver"))?;
            Some((member, driver))
        });
    let strangers: Vec<String> = drivers
        .filter(|(_, driver)| !driver.contains("vfio") && driver != "pcieport")
        .map(|(member, driver)| format!("{member} ({driver})"))
        .collect();
    match strangers.is_empty() {
        true => Line::ok(name, group),
        false => Line::fail(
            name,
            format!(
                "{group} has other drivers' devices: {}",
                strangers.join(", ")
            ),
            "bind them to a VFIO driver, or to none",
        ),
    }
}

/// The parameter `dma_logging` of hisi_acc_vfio_pci_rs.
fn parameter(subject: &Subject<'_>) -> Option<Line> {
    let name = "dma_logging";
    let file = "/sys/module/hisi_acc_vfio_pci_rs/parameters/dma_logging";
    let value = subject.root.line(file)?;
    subject.device.attr.as_ref()?;
    Some(match value.as_str() {
        "off" => Line::warning(
            name,
            "off: the driver does not report the pages that its VFs write",
            "load hisi_acc_vfio_pci_rs without dma_logging=off",
        ),
        value => Line::ok(name, value),
    })
}

/// The container by who tracks dirty pages, as the page migrating-a-guest says.
fn container(subject: &Subject<'_>) -> Line {
    let name = "container";
    let root = subject.root;
    let has = |file: &str, options: &[&str]| {
        root.exists(file)
            || subject
                .config
                .as_ref()
                .is_some_and(|c| options.iter().all(|o| c.has(o)))
    };
    let has_type1 = has("/dev/vfio/vfio", &["VFIO_IOMMU_TYPE1"]);
    let has_iommufd = has("/dev/iommu", &["IOMMUFD", "VFIO_DEVICE_CDEV"]);
    let use_iommufd = "-device vfio-pci,..,iommufd=iommufd0";
    match subject.device.dirty_tracking {
        _ if !has_type1 && !has_iommufd => Line::fail(
            name,
            "neither /dev/vfio/vfio nor /dev/iommu is there",
            "modprobe vfio_iommu_type1, or iommufd",
        ),
        Some(DirtyTracking::Driver) => Line::ok(
            name,
            "dirty pages are tracked by the driver: type1 or iommufd",
        ),
        Some(DirtyTracking::Iommu) if !has_iommufd => Line::fail(
            name,
            "dirty pages are tracked by the IOMMU, and there is no iommufd",
            "use a kernel with CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV",
        ),
        Some(DirtyTracking::Iommu) if is_linux_7_3(subject) => Line::warning(
            name,
            "dirty pages are tracked by the IOMMU; Linux 7.3 loses some with an SMMUv3",
            "load hisi_acc_vfio_pci_rs with dma_logging=on",
        ),
        Some(DirtyTracking::Iommu) => Line::ok(
            name,
            format!("dirty pages are tracked by the IOMMU: {use_iommufd}"),
        ),
        Some(DirtyTracking::None | DirtyTracking::IommuOrNone) if has_type1 => Line::warning(
            name,
            "dirty pages are not tracked by the driver",
            "use type1 with enable-migration=on; with iommufd stop the guest before it is migrated",
        ),
        Some(DirtyTracking::None | DirtyTracking::IommuOrNone) => Line::warning(
            name,
            "dirty pages are not tracked by the driver, and there is no type1",
            "modprobe vfio_iommu_type1; with iommufd stop the guest before it is migrated",
        ),
        None => Line::unknown(
            name,
            "it is not known who tracks dirty pages",
            "see the lines on the driver and the debug files",
        ),
    }
}

fn is_linux_7_3(subject: &Subject<'_>) -> bool {
    let release = subject.root.line("/proc/sys/kernel/osrelease");
    release.is_some_and(|release| release == "7.3" || release.starts_with("7.3."))
}
