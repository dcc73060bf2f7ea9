// SPDX-License-Identifier: GPL-2.0

//! A device of the kernel's sample driver mtty. It has all states of the migration protocol, and needs
//! neither hardware nor an IOMMU.

use std::path::{Path, PathBuf};

use anyhow::Result;
use linux::sysfs;
use vfio_client::Device;

const PARENT: &str = "/sys/devices/virtual/mtty/mtty";

/// The name of the device.
pub(crate) const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

/// The device's folder in sysfs.
pub(crate) fn folder() -> PathBuf {
    Path::new(PARENT).join(UUID)
}

/// Makes the device. The module mtty must be loaded.
pub(crate) fn create() -> Result<()> {
    sysfs::write(format!("{PARENT}/mdev_supported_types/mtty-1/create"), UUID)
}

pub(crate) fn remove() -> Result<()> {
    sysfs::write(folder().join("remove"), "1")
}

pub(crate) fn open() -> Result<Device> {
    Device::open_without_dma(&folder().join("vfio-dev"))
}
