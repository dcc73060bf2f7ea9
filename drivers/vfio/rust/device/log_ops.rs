// SPDX-License-Identifier: GPL-2.0

//! Callbacks from the VFIO core for DMA logging (`struct vfio_log_ops`).
//!
//! Only kernels with `CONFIG_IOMMUFD_DRIVER` have the bitmap that a report is written to. On other
//! kernels nothing is reported, so logging is not offered.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use super::{
    Device,
    Operations, //
};
use crate::{
    bindings,
    dma_logging::{
        DmaLogging,
        IovaRange, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    bindings::{
        interval_tree_iter_first,
        interval_tree_iter_next,
        iova_bitmap,
        iova_bitmap_set,
        rb_root_cached, //
    },
    device::Bound,
    prelude::*, //
};

/// Sets the callbacks for DMA logging of a device of the driver `T`.
///
/// # Safety
///
/// `vdev` must be embedded in a [`Device<T>`] that is not registered yet, and whose migration has
/// [`DmaLogging`].
pub(super) unsafe fn set_log_ops<T: Operations>(vdev: *mut bindings::vfio_device) {
    // SAFETY: By the safety requirements `vdev` is valid, and nothing else accesses it yet.
    unsafe { (*vdev).log_ops = &VTable::<T>::VTABLE };
}

/// Returns the logging of a device that offers it.
fn logging<T: Operations>(dev: &Device<T, Bound>) -> Result<&dyn DmaLogging> {
    let migration = dev.migration().ok_or(ENODEV)?;
    migration.dma_logging().ok_or(ENODEV)
}

/// Copies the ranges in an interval tree, in ascending order.
///
/// # Safety
///
/// `root` must be a valid tree of `struct interval_tree_node`, and nothing else may access it.
unsafe fn copy_ranges(root: *mut rb_root_cached, count: u32) -> Result<KVec<IovaRange>> {
    // CAST: A `u32` fits.
    let mut ranges = KVec::with_capacity(count as usize, GFP_KERNEL)?;
    // SAFETY: By the safety requirements the tree is valid.
    let mut node = unsafe { interval_tree_iter_first(root, 0, c_ulong::MAX) };
    while !node.is_null() {
        // SAFETY: The node is in the tree.
        let (start, last) = unsafe { ((*node).start, (*node).last) };
        // CAST: An address has at most 64 bits.
        ranges.push(IovaRange::new(start as u64, last as u64)?, GFP_KERNEL)?;
        // SAFETY: The node is in the tree.
        node = unsafe { interval_tree_iter_next(node, 0, c_ulong::MAX) };
    }
    Ok(ranges)
}

struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    const VTABLE: bindings::vfio_log_ops = bindings::vfio_log_ops {
        log_start: Some(Self::log_start_callback),
        log_stop: Some(Self::log_stop_callback),
        log_read_and_clear: Some(Self::log_read_and_clear_callback),
    };

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`]; `ranges` must be a valid tree of
    /// `struct interval_tree_node` that nothing else accesses, and `page_size` must be valid for a
    /// read and a write.
    unsafe extern "C" fn log_start_callback(
        vdev: *mut bindings::vfio_device,
        ranges: *mut rb_root_cached,
        count: u32,
        page_size: *mut u64,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let started = logging(dev).and_then(|logging| {
            // SAFETY: By the safety requirements.
            let ranges = unsafe { copy_ranges(ranges, count) }?;
            // SAFETY: By the safety requirements `page_size` is valid for a read.
            logging.start(dev.core(), ranges, unsafe { *page_size })
        });
        match started {
            Ok(used) => {
                // SAFETY: By the safety requirements `page_size` is valid for a write.
                unsafe { *page_size = used };
                0
            }
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`].
    unsafe extern "C" fn log_stop_callback(vdev: *mut bindings::vfio_device) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        match logging(dev).and_then(|logging| logging.stop(dev.core())) {
            Ok(()) => 0,
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`]; `bitmap` must be valid, and cover
    /// `length` bytes from `iova`.
    unsafe extern "C" fn log_read_and_clear_callback(
        vdev: *mut bindings::vfio_device,
        iova: c_ulong,
        length: c_ulong,
        bitmap: *mut iova_bitmap,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        let reported = logging(dev).and_then(|logging| {
            // CAST: An address has at most 64 bits.
            let range = IovaRange::with_length(iova as u64, length as u64)?;
            logging.report(dev.core(), range, &mut |dirty| {
                let Some(part) = dirty.intersection(range) else {
                    return;
                };
                // CAST: The part is in a range of `c_ulong`, the length of which fits too.
                let (start, length) = (
                    part.start() as c_ulong,
                    (part.last() - part.start() + 1) as usize,
                );
                // SAFETY: By the safety requirements the bitmap is valid and covers the range.
                unsafe { iova_bitmap_set(bitmap, start, length) };
            })
        });
        match reported {
            Ok(()) => 0,
            Err(e) => e.to_errno(),
        }
    }
}
