// SPDX-License-Identifier: GPL-2.0

//! Regions of a VFIO PCI device: how an offset in the device file encodes a region, and the
//! arithmetic that hides the end of a region from the user.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::bindings;
use bitflags::bitflags;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

const SHIFT: u32 = bindings::VFIO_RUST_PCI_OFFSET_SHIFT;

bitflags! {
    /// Operations that a region supports, the bits `VFIO_REGION_INFO_FLAG_*`.
    ///
    /// C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct RegionFlags: u32 {
        /// The region can be read.
        const READ = bindings::VFIO_REGION_INFO_FLAG_READ;
        /// The region can be written.
        const WRITE = bindings::VFIO_REGION_INFO_FLAG_WRITE;
        /// The region can be mapped.
        const MMAP = bindings::VFIO_REGION_INFO_FLAG_MMAP;
        /// Capabilities follow the region info.
        const CAPS = bindings::VFIO_REGION_INFO_FLAG_CAPS;
    }
}

/// A position in the device file: a region and a byte offset inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionOffset {
    /// Index of the region, as in `struct vfio_region_info`.
    pub(crate) index: u32,
    /// Bytes from the start of the region, below 2^40.
    pub(crate) offset: u64,
}

impl RegionOffset {
    /// Splits a file position as `VFIO_PCI_OFFSET_TO_INDEX` and `VFIO_PCI_OFFSET_MASK` do.
    pub(crate) fn from_file(pos: u64) -> Self {
        Self {
            // CAST: At most 24 bits are left.
            index: (pos >> SHIFT) as u32,
            offset: pos & ((1 << SHIFT) - 1),
        }
    }
}

/// Returns how many of the `count` bytes from `offset` lie below `limit`.
///
/// # Errors
///
/// [`EINVAL`] if not even the first byte does.
pub(crate) fn clip_len(offset: u64, count: usize, limit: u64) -> Result<usize> {
    match limit.checked_sub(offset) {
        None | Some(0) => Err(EINVAL),
        // CAST: The result is not larger than `count`.
        Some(room) => Ok(room.min(count as u64) as usize),
    }
}

/// Checks that all of `[offset, offset + len)` lies below `limit`.
///
/// # Errors
///
/// [`EINVAL`] if it does not.
pub(crate) fn check_range(offset: u64, len: u64, limit: u64) -> Result {
    match offset.checked_add(len) {
        Some(end) if end <= limit => Ok(()),
        _ => Err(EINVAL),
    }
}

/// Shortens the region that the core describes in `info` to `limit` bytes, if it is longer.
///
/// An empty region has no flags, as the core reports it for a BAR that does not exist. A region
/// that does not end at a page boundary cannot be mapped: a mapping of its size would be refused.
pub(crate) fn limit_region_info(info: &mut bindings::vfio_region_info, limit: u64) {
    if info.size <= limit {
        return;
    }
    let mut flags = RegionFlags::from_bits_retain(info.flags);
    if limit == 0 {
        flags = RegionFlags::empty();
    } else if limit % PAGE_SIZE as u64 != 0 {
        flags.remove(RegionFlags::MMAP);
    }
    info.size = limit;
    info.flags = flags.bits();
}

#[kernel::prelude::kunit_tests(rust_vfio_region)]
mod tests {
    use super::*;

    #[test]
    fn file_position_names_region_and_offset() {
        let pos = RegionOffset::from_file((2 << 40) | 0x1000);
        assert_eq!(pos.index, 2);
        assert_eq!(pos.offset, 0x1000);
        assert_eq!(RegionOffset::from_file((1 << 40) - 1).index, 0);
    }

    #[test]
    fn access_is_clipped_at_the_limit() {
        assert_eq!(clip_len(0, 16, 0x8000), Ok(16));
        assert_eq!(clip_len(0x7ff8, 16, 0x8000), Ok(8));
        assert_eq!(clip_len(0x8000, 4, 0x8000), Err(EINVAL));
        assert_eq!(clip_len(u64::MAX, 4, 0x8000), Err(EINVAL));
    }

    #[test]
    fn region_ends_at_the_limit() {
        const PAGE: u64 = PAGE_SIZE as u64;
        let readable = RegionFlags::READ;
        let mappable = RegionFlags::READ | RegionFlags::MMAP;
        let none = RegionFlags::empty();

        for (limit, size, flags) in [
            (4 * PAGE, 2 * PAGE, mappable),
            (2 * PAGE, 2 * PAGE, mappable),
            (PAGE, PAGE, mappable),
            (PAGE + 4, PAGE + 4, readable),
            (4, 4, readable),
            (0, 0, none),
        ] {
            let mut info = bindings::vfio_region_info {
                size: 2 * PAGE,
                flags: mappable.bits(),
                ..Default::default()
            };
            limit_region_info(&mut info, limit);
            assert_eq!((info.size, info.flags), (size, flags.bits()));
        }
    }

    #[test]
    fn mapping_must_end_below_the_limit() {
        assert_eq!(check_range(0, 0x8000, 0x8000), Ok(()));
        assert_eq!(check_range(0x7000, 0x1001, 0x8000), Err(EINVAL));
        assert_eq!(check_range(u64::MAX, 2, 0x8000), Err(EINVAL));
    }
}
