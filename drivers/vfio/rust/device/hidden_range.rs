// SPDX-License-Identifier: GPL-2.0

//! Tails of BARs that the user may not reach.
//!
//! The core reads the arguments of `VFIO_DEVICE_IOEVENTFD` from user memory, after any check that
//! could be made here, so it must do the check itself. There is one range per device that it does
//! keep ioeventfds, reads and writes from: that of the MSI-X table. A device without MSI-X lends
//! it to the tail that it hides.

use super::{
    Device,
    Operations, //
};
use kernel::device::Bound;

/// Number of regions that are BARs; their indices are below it.
const BARS: u32 = 6;

/// What the core has as the BAR of the MSI-X table of a device without MSI-X.
const NO_MSIX_BAR: u8 = 0xff;

impl<T: Operations> Device<T, Bound> {
    /// The BAR and the bytes of it that the user may reach, if region `index` hides a tail.
    pub(super) fn accessible_part(&self, index: u32) -> Option<(usize, u64)> {
        let limit = T::user_accessible_len(self, index).filter(|_| index < BARS)?;
        let len = self.pdev().resource_len(index).ok()?;
        // CAST: a BAR's index is below 6.
        (limit < len).then_some((index as usize, limit))
    }

    /// Has the core keep the user from the device's tail, if it is able to.
    ///
    /// # Safety
    ///
    /// The device must be enabled and not be in use yet.
    pub(super) unsafe fn exclude_hidden_range(&self) {
        let Some((bar, limit)) = (0..BARS).find_map(|index| self.accessible_part(index)) else {
            return;
        };
        // CAST: a BAR's index is below 6.
        let len = self.pdev().resource_len(bar as u32).unwrap_or(0);
        let (Ok(offset), Ok(size)) = (u32::try_from(limit), u16::try_from(len - limit)) else {
            return;
        };

        // SAFETY: The core has set the fields when it enabled the device, and reads them only
        // while it is in use.
        unsafe {
            let core = self.core.as_ptr();
            if (*core).msix_bar == NO_MSIX_BAR {
                // CAST: a BAR's index is below 6.
                (*core).msix_bar = bar as u8;
                (*core).msix_offset = offset;
                (*core).msix_size = size;
            }
        }
    }

    /// Whether the core of the open device has the tail of region `index` in the place of an MSI-X
    /// table.
    pub(super) fn hides_as_msix(&self, index: u32) -> bool {
        // SAFETY: The device is open, and what was found when it was opened does not change.
        let (bar, capability) = unsafe {
            let core = self.core.as_ptr();
            ((*core).msix_bar, (*(*core).pdev).msix_cap)
        };
        index < BARS && u32::from(bar) == index && capability == 0
    }

    /// Whether the core keeps the user of the open device from every tail.
    pub(super) fn hidden_ranges_are_excluded(&self) -> bool {
        // SAFETY: The device is open, and the fields do not change until it is closed.
        let (bar, offset) = unsafe {
            let core = self.core.as_ptr();
            ((*core).msix_bar, (*core).msix_offset)
        };
        (0..BARS)
            .filter_map(|index| self.accessible_part(index))
            .all(|tail| tail == (bar.into(), offset.into()))
    }
}
