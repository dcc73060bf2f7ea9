// SPDX-License-Identifier: GPL-2.0

//! Checks of the kernel's options.

use super::{Line, Subject};
use crate::kernel_config::KernelConfig;

pub(super) fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let Some(config) = &subject.config else {
        return vec![Line::unknown(
            "kernel options",
            "neither /proc/config.gz nor /boot/config-* can be read",
            "look for CONFIG_VFIO_PCI, CONFIG_VFIO_DEBUGFS and CONFIG_IOMMUFD_DRIVER elsewhere",
        )];
    };
    vec![
        vfio_pci(config),
        containers(config),
        dma_logging(config),
        page_size(config, subject),
    ]
}

fn value(config: &KernelConfig, option: &str) -> String {
    format!("CONFIG_{option}={}", config.get(option))
}

fn vfio_pci(config: &KernelConfig) -> Line {
    let found = value(config, "VFIO_PCI");
    match config.has("VFIO_PCI") {
        true => Line::ok("kernel: VFIO", format!("{found} ({})", config.file)),
        false => Line::fail("kernel: VFIO", found, "use a kernel with CONFIG_VFIO_PCI"),
    }
}

fn containers(config: &KernelConfig) -> Line {
    let found = format!(
        "{}, {}, {}",
        value(config, "VFIO_IOMMU_TYPE1"),
        value(config, "IOMMUFD"),
        value(config, "VFIO_DEVICE_CDEV")
    );
    let name = "kernel: DMA";
    let has_iommufd = config.has("IOMMUFD") && config.has("VFIO_DEVICE_CDEV");
    match config.has("VFIO_IOMMU_TYPE1") || has_iommufd {
        true => Line::ok(name, found),
        false => Line::fail(
            name,
            found,
            "use a kernel with CONFIG_VFIO_IOMMU_TYPE1, or with CONFIG_IOMMUFD and \
             CONFIG_VFIO_DEVICE_CDEV",
        ),
    }
}

/// A driver can report dirty pages only with this option.
fn dma_logging(config: &KernelConfig) -> Line {
    let found = value(config, "IOMMUFD_DRIVER");
    match config.has("IOMMUFD_DRIVER") {
        true => Line::ok("kernel: logging", found),
        false => Line::warning(
            "kernel: logging",
            format!("{found}: no driver can report the pages that a device writes"),
            "use type1 and enable-migration=on, or a kernel with CONFIG_IOMMUFD",
        ),
    }
}

/// Registers of hardware V3 share a page with those of the guest if pages are large.
fn page_size(config: &KernelConfig, subject: &Subject<'_>) -> Line {
    let has = |size: &&str| {
        config.has(&format!("ARM64_{size}_PAGES")) || config.has(&format!("PAGE_SIZE_{size}B"))
    };
    let size = ["64K", "16K", "4K"].into_iter().find(has);
    let name = "kernel: pages";
    let is_v3 = subject.hisi_revision() == Some(0x30);
    match size {
        Some("64K") if is_v3 => Line::fail(
            name,
            "64 KiB: a VF of hardware V3 cannot migrate with them",
            "use a kernel with pages of 4 or 16 KiB",
        ),
        Some(size) => Line::ok(name, format!("{} KiB", size.trim_end_matches('K'))),
        None => Line::ok(name, "of another architecture than arm64"),
    }
}
