// SPDX-License-Identifier: GPL-2.0

//! Ranges at the end of BARs that are hidden from the user.
//!
//! The core reads the arguments of `VFIO_DEVICE_IOEVENTFD` from user memory after any check that
//! could be done here, so the core must do the check. It excludes one range per device from
//! ioeventfds, reads and writes: the MSI-X table. On a device without MSI-X, this range is set to
//! the range to hide.

use super::{
    Device,
    Operations, //
};
use kernel::device::Bound;

/// Number of BARs. The indices of their regions are below it.
const BARS: u32 = 6;

/// The value of `msix_bar` in the core for a device without MSI-X.
const NO_MSIX_BAR: u8 = 0xff;

impl<T: Operations> Device<T, Bound> {
    /// Returns the index and the number of accessible bytes of BAR `index`, if the rest of it is
    /// hidden.
    pub(super) fn accessible_part(&self, index: u32) -> Option<(usize, u64)> {
        let limit = T::user_accessible_len(self, index).filter(|_| index < BARS)?;
        let len = self.pdev().resource_len(index).ok()?;
        // CAST: The index of a BAR is below 6.
        (limit < len).then_some((index as usize, limit))
    }

    /// Makes the core exclude the hidden range of the device from accesses, if it can.
    ///
    /// # Safety
    ///
    /// The device must be enabled and not be in use yet.
    pub(super) unsafe fn exclude_hidden_range(&self) {
        let Some((bar, limit)) = (0..BARS).find_map(|index| self.accessible_part(index)) else {
            return;
        };
        // CAST: The index of a BAR is below 6.
        let len = self.pdev().resource_len(bar as u32).unwrap_or(0);
        let (Ok(offset), Ok(size)) = (u32::try_from(limit), u16::try_from(len - limit)) else {
            return;
        };

        // SAFETY: The core set the fields when it enabled the device, and reads them only while the
        // device is in use.
        unsafe {
            let core = self.core.as_ptr();
            if (*core).msix_bar == NO_MSIX_BAR {
                // CAST: The index of a BAR is below 6.
                (*core).msix_bar = bar as u8;
                (*core).msix_offset = offset;
                (*core).msix_size = size;
            }
        }
    }

    /// Returns whether the core treats the hidden range of region `index` of the open device as the
    /// MSI-X table.
    pub(super) fn hides_as_msix(&self, index: u32) -> bool {
        // SAFETY: The device is open, and the fields do not change until it is closed.
        let (bar, capability) = unsafe {
            let core = self.core.as_ptr();
            ((*core).msix_bar, (*(*core).pdev).msix_cap)
        };
        index < BARS && u32::from(bar) == index && capability == 0
    }

    /// Returns whether the core excludes every hidden range of the open device from accesses.
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
