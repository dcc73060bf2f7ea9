// SPDX-License-Identifier: GPL-2.0

//! The choice between tracking of dirty pages by the IOMMU and [DMA logging] by the driver.
//!
//! [DMA logging]: crate::dma_logging

use crate::device::raw_device;
use kernel::{
    device::Bound,
    pci, //
};

/// Whether the IOMMU drivers of this kernel are known to report each page that is written after a
/// page's dirty state was read and cleared, which they must invalidate the IOTLB for.
///
/// That of the SMMUv3 does not, as of Linux 7.3: `arm_smmu_iotlb_sync()` returns at once if the
/// gather structure has no page size, and `iommu_dirty_bitmap_record()` sets none. The drivers for
/// VT-d and for AMD's IOMMU do not look at the page size.
const IOMMU_IS_RELIABLE: bool = !cfg!(CONFIG_ARM_SMMU_V3);

/// When a driver logs the DMA of its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggingPolicy {
    /// Unless the IOMMU tracks dirty pages reliably.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What tracks the pages that a device writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirtyTracking {
    /// The driver, by [`DmaLogging`](crate::dma_logging::DmaLogging).
    Driver,
    /// The IOMMU.
    Iommu,
    /// Nothing. A VMM that uses iommufd can only migrate a VM that it has stopped before.
    Nothing,
}

impl DirtyTracking {
    /// Chooses what tracks the pages that `pdev` writes.
    ///
    /// A kernel without `CONFIG_IOMMUFD_DRIVER` has no reports of dirty pages to users of iommufd,
    /// and none of DMA logging either.
    pub fn choose(pdev: &pci::Device<Bound>, policy: LoggingPolicy) -> Self {
        // SAFETY: `pdev` is a valid, bound device.
        let iommu_tracks = unsafe {
            kernel::bindings::device_iommu_capable(
                raw_device(pdev),
                kernel::bindings::iommu_cap_IOMMU_CAP_DIRTY_TRACKING,
            )
        };
        Self::decide(
            policy,
            iommu_tracks,
            IOMMU_IS_RELIABLE,
            cfg!(CONFIG_IOMMUFD_DRIVER),
        )
    }

    fn decide(policy: LoggingPolicy, iommu_tracks: bool, reliable: bool, can_log: bool) -> Self {
        let log = match policy {
            LoggingPolicy::Auto => !(iommu_tracks && reliable),
            LoggingPolicy::On => true,
            LoggingPolicy::Off => false,
        };
        if log && can_log {
            Self::Driver
        } else if iommu_tracks {
            Self::Iommu
        } else {
            Self::Nothing
        }
    }

    /// Returns the name for users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Iommu => "IOMMU",
            Self::Nothing => "none",
        }
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_dirty_tracking)]
mod tests {
    use super::*;
    use DirtyTracking::{
        Driver,
        Iommu,
        Nothing, //
    };

    #[test]
    fn auto_prefers_an_iommu_that_is_reliable() {
        assert_eq!(
            DirtyTracking::decide(LoggingPolicy::Auto, true, true, true),
            Iommu
        );
        assert_eq!(
            DirtyTracking::decide(LoggingPolicy::Auto, true, false, true),
            Driver
        );
        assert_eq!(
            DirtyTracking::decide(LoggingPolicy::Auto, false, true, true),
            Driver
        );
        assert_eq!(
            DirtyTracking::decide(LoggingPolicy::Auto, false, true, false),
            Nothing
        );
    }

    #[test]
    fn on_and_off_do_not_ask_for_reliability() {
        for reliable in [false, true] {
            assert_eq!(
                DirtyTracking::decide(LoggingPolicy::On, true, reliable, true),
                Driver
            );
            assert_eq!(
                DirtyTracking::decide(LoggingPolicy::On, true, reliable, false),
                Iommu
            );
            assert_eq!(
                DirtyTracking::decide(LoggingPolicy::Off, true, reliable, true),
                Iommu
            );
            assert_eq!(
                DirtyTracking::decide(LoggingPolicy::Off, false, reliable, true),
                Nothing
            );
        }
    }
}
