// SPDX-License-Identifier: GPL-2.0

//! Ids of the devices that a VFIO variant driver can be bound to.
//!
//! C header: [`include/linux/mod_devicetable.h`](srctree/include/linux/mod_devicetable.h)

use crate::bindings;
use kernel::device_id::RawDeviceId;

/// A device id that matches only if the administrator requests a VFIO driver.
///
/// C: `PCI_DRIVER_OVERRIDE_DEVICE_VFIO()`
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(kernel::bindings::pci_device_id);

impl DeviceId {
    const ANY: u32 = !0;

    /// Matches all devices of `vendor` with the id `device`.
    pub const fn vfio_override(vendor: u16, device: u16) -> Self {
        Self(kernel::bindings::pci_device_id {
            vendor: vendor as u32,
            device: device as u32,
            subvendor: Self::ANY,
            subdevice: Self::ANY,
            class: 0,
            class_mask: 0,
            driver_data: 0,
            override_only: bindings::VFIO_RUST_PCI_ID_OVERRIDE,
        })
    }
}

// SAFETY: `DeviceId` is a transparent wrapper of `struct pci_device_id`.
unsafe impl RawDeviceId for DeviceId {
    type RawType = kernel::bindings::pci_device_id;
}

/// A table of device ids.
pub type IdTable = &'static dyn kernel::device_id::IdTable<DeviceId, ()>;

/// Declares a table of device ids and the corresponding module aliases.
///
/// `driver_data` is 0 in all entries. The PCI core accepts an id that is written to `new_id` only
/// if its `driver_data`, 0 by default, equals that of an entry.
#[macro_export]
macro_rules! vfio_device_table {
    ($table:ident, [$($id:expr),* $(,)?]) => {
        ::kernel::module_device_table!("pci", $crate::device_id::DeviceId, $table, @none, [$($id),*]);
    };
}
