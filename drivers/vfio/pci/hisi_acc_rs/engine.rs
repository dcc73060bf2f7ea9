// SPDX-License-Identifier: GPL-2.0

//! The accelerator engines whose VFs the driver binds to.
//!
//! C header: [`include/linux/pci_ids.h`](srctree/include/linux/pci_ids.h)

/// PCI vendor ID of the devices.
pub(crate) const VENDOR: u16 = 0x19e5;

/// An engine, identified by the PCI device ID of its VFs.
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
    /// Returns the engine whose VFs have the device ID `id`.
    pub(crate) fn from_device_id(id: u16) -> Option<Self> {
        [Self::Zip, Self::Sec, Self::Hpre]
            .into_iter()
            .find(|engine| engine.device_id() == id)
    }

    /// Returns the PCI device ID of the engine's VFs.
    pub(crate) const fn device_id(self) -> u16 {
        self as u16
    }

    /// Returns the name that debugfs shows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Sec => "sec",
            Self::Hpre => "hpre",
        }
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_engine)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_known_by_the_ids_of_their_vfs() {
        assert_eq!(Engine::from_device_id(0xa251), Some(Engine::Zip));
        assert_eq!(Engine::from_device_id(0xa256), Some(Engine::Sec));
        assert_eq!(Engine::from_device_id(0xa259), Some(Engine::Hpre));
    }

    #[test]
    fn pf_ids_do_not_match() {
        for id in [0xa250, 0xa255, 0xa258, 0] {
            assert_eq!(Engine::from_device_id(id), None);
        }
    }
}
