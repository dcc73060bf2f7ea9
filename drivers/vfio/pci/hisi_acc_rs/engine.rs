// SPDX-License-Identifier: GPL-2.0

//! The engines whose VFs the driver binds to.
//!
//! C header: `include/linux/pci_ids.h`

/// PCI vendor id of the devices.
pub(crate) const VENDOR: u16 = 0x19e5;

/// An engine, known by the PCI device id of its VFs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Engine {
    /// Compression.
    Zip = 0xa251,
    /// Symmetric ciphers and digests.
    Sec = 0xa256,
    /// Public key operations.
    Hpre = 0xa259,
}

impl Engine {
    /// The engine with the given device id.
    pub(crate) fn from_device_id(id: u16) -> Option<Self> {
        [Self::Zip, Self::Sec, Self::Hpre]
            .into_iter()
            .find(|engine| engine.device_id() == id)
    }

    /// PCI device id of the engine's VFs.
    pub(crate) const fn device_id(self) -> u16 {
        self as u16
    }

    /// Whether this driver knows how to migrate the engine's VFs.
    pub(crate) const fn can_migrate(self) -> bool {
        matches!(self, Self::Zip)
    }
}

impl Engine {
    /// Its name in debugfs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Sec => "sec",
            Self::Hpre => "hpre",
        }
    }
}
