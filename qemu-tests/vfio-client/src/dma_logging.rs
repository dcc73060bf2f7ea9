// SPDX-License-Identifier: GPL-2.0

//! DMA logging: a device reports which pages it may have written.

use std::io;

use vfio_bindings::bindings::vfio::vfio_device_feature_dma_logging_range;

use super::dirty_pages::{DirtyPages, IovaRange};
use super::{Device, ffi};

impl Device {
    /// `VFIO_DEVICE_FEATURE_DMA_LOGGING_START`. Returns the page size that the device uses.
    pub fn start_dma_logging(&self, ranges: &[IovaRange], page_size: u64) -> io::Result<u64> {
        let ranges = ranges
            .iter()
            .map(|range| vfio_device_feature_dma_logging_range {
                iova: range.iova,
                length: range.length,
            });
        ffi::start_dma_logging(self, &ranges.collect::<Vec<_>>(), page_size)
    }

    /// `VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP`.
    pub fn stop_dma_logging(&self) -> io::Result<()> {
        ffi::stop_dma_logging(self)
    }

    /// `VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT`.
    pub fn dirty_pages(&self, range: IovaRange, page_size: u64) -> io::Result<DirtyPages> {
        let bitmap = ffi::dma_logging_report(self, range.iova, range.length, page_size)?;
        Ok(DirtyPages::new(range, page_size, bitmap))
    }
}
