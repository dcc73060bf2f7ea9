// SPDX-License-Identifier: GPL-2.0

//! DMA logging: a device reports which pages it may have written.

use std::io;

use vfio_bindings::bindings::vfio::vfio_device_feature_dma_logging_range;

use super::{Device, ffi};

/// A range of I/O virtual addresses: where it begins, and how many bytes it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IovaRange {
    /// The first address.
    pub iova: u64,
    /// In bytes.
    pub length: u64,
}

/// The pages of a range that a report names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirtyPages {
    /// For each page of the range, whether it is dirty.
    pages: Vec<bool>,
}

impl DirtyPages {
    /// Numbers of the dirty pages, from the beginning of the range.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        let pages = self.pages.iter().enumerate();
        pages.filter_map(|(number, dirty)| dirty.then_some(number))
    }

    /// Whether each page is dirty.
    pub fn are_all(&self) -> bool {
        self.pages.iter().all(|dirty| *dirty)
    }

    /// Whether no page is dirty.
    pub fn are_none(&self) -> bool {
        self.pages.iter().all(|dirty| !dirty)
    }
}

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
        let words = ffi::dma_logging_report(self, range.iova, range.length, page_size)?;
        let pages = range.length.div_ceil(page_size.max(1));
        let is_set = |page: u64| words[(page / 64) as usize] & 1 << (page % 64) != 0;
        Ok(DirtyPages {
            pages: (0..pages).map(is_set).collect(),
        })
    }
}
