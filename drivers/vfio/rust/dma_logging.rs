// SPDX-License-Identifier: GPL-2.0

//! DMA logging: a device reports which pages of a VM it may have written.
//!
//! A VMM that migrates a running VM sends its memory while the device writes to it, and must send
//! again what the device has written since. Either the IOMMU tracks that, or the device does.
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h) (`struct vfio_log_ops`),
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)
//! (`VFIO_DEVICE_FEATURE_DMA_LOGGING_START`)

mod coarse_log;

pub(crate) use self::coarse_log::CoarseLog;

use crate::device::CoreDevice;
use kernel::{
    device::Bound,
    prelude::*, //
};

/// A range of I/O virtual addresses, which is not empty.
///
/// # Invariants
///
/// `start` is not greater than `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IovaRange {
    start: u64,
    last: u64,
}

impl IovaRange {
    /// Returns the range from `start` to `last`, both included.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `start` is greater than `last`.
    pub fn new(start: u64, last: u64) -> Result<Self> {
        if start > last {
            return Err(EINVAL);
        }
        // INVARIANT: Checked above.
        Ok(Self { start, last })
    }

    /// Returns the range of `length` bytes from `start`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `length` is 0, [`EOVERFLOW`] if the range exceeds 64 bits.
    pub fn with_length(start: u64, length: u64) -> Result<Self> {
        let offset = length.checked_sub(1).ok_or(EINVAL)?;
        Self::new(start, start.checked_add(offset).ok_or(EOVERFLOW)?)
    }

    /// Returns the first address.
    pub fn start(self) -> u64 {
        self.start
    }

    /// Returns the last address.
    pub fn last(self) -> u64 {
        self.last
    }

    /// Returns whether `address` is in the range.
    pub fn contains(self, address: u64) -> bool {
        (self.start..=self.last).contains(&address)
    }

    /// Returns the part that both ranges have in common, if there is one.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.last.min(other.last)).ok()
    }

    /// Returns the part of the range behind `other`, if there is one.
    pub fn after(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.last.checked_add(1)?), self.last).ok()
    }
}

/// A device that logs its DMA: `struct vfio_log_ops`.
///
/// The callbacks run in process context while the device is open, and the core does not serialise
/// them. Logging does not depend on the state of the migration. It continues when the function is
/// reset, and must end when the device is closed.
pub trait DmaLogging: Send + Sync {
    /// Starts logging. `ranges` are in ascending order and do not overlap. `page_size` is the page
    /// size in bytes that the user prefers; it can be any number.
    ///
    /// Returns the page size that is used.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if logging has been started already.
    fn start(
        &self,
        core: &CoreDevice<Bound>,
        ranges: KVec<IovaRange>,
        page_size: u64,
    ) -> Result<u64>;

    /// Stops logging, if it has been started.
    fn stop(&self, core: &CoreDevice<Bound>) -> Result;

    /// Calls `dirty` for each part of `range` that the device may have written since logging was
    /// started, or since the part was last reported. Parts may overlap `range` only partially.
    ///
    /// `dirty` writes to user memory, so it must not be called with a lock held that a page fault
    /// can need.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if logging has not been started, or not for all of `range`.
    fn report(
        &self,
        core: &CoreDevice<Bound>,
        range: IovaRange,
        dirty: &mut dyn FnMut(IovaRange),
    ) -> Result;
}

#[kernel::prelude::kunit_tests(rust_vfio_iova_range)]
mod tests {
    use super::*;

    #[test]
    fn empty_ranges_and_overflows_are_refused() {
        assert_eq!(IovaRange::new(1, 0), Err(EINVAL));
        assert_eq!(IovaRange::with_length(0x1000, 0), Err(EINVAL));
        assert_eq!(IovaRange::with_length(u64::MAX, 2), Err(EOVERFLOW));
        assert_eq!(
            IovaRange::with_length(u64::MAX, 1),
            IovaRange::new(u64::MAX, u64::MAX)
        );
    }

    #[test]
    fn parts_are_cut_at_both_ends() -> Result {
        let range = IovaRange::new(10, 19)?;
        assert_eq!(
            range.intersection(IovaRange::new(15, 30)?),
            IovaRange::new(15, 19).ok()
        );
        assert_eq!(range.intersection(IovaRange::new(20, 30)?), None);
        assert_eq!(
            range.after(IovaRange::new(0, 14)?),
            IovaRange::new(15, 19).ok()
        );
        assert_eq!(range.after(IovaRange::new(0, 5)?), Some(range));
        assert_eq!(range.after(IovaRange::new(10, u64::MAX)?), None);
        Ok(())
    }
}
