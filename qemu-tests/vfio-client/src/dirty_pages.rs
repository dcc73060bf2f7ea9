// SPDX-License-Identifier: GPL-2.0

//! Reports of the pages that devices have written, by the driver of a device or by the IOMMU.

/// A range of I/O virtual addresses: where it begins, and how many bytes it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IovaRange {
    /// The first address.
    pub iova: u64,
    /// In bytes.
    pub length: u64,
}

/// What a report says of a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirtyPages {
    range: IovaRange,
    page_size: u64,
    /// A bit for each page.
    bitmap: Vec<u64>,
}

impl DirtyPages {
    pub(crate) fn new(range: IovaRange, page_size: u64, bitmap: Vec<u64>) -> Self {
        DirtyPages {
            range,
            page_size,
            bitmap,
        }
    }

    fn count(&self) -> u64 {
        self.range.length.div_ceil(self.page_size)
    }

    /// Numbers of the dirty pages, from the beginning of the range.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let is_dirty = |page: &u64| self.bitmap[(page / 64) as usize] >> (page % 64) & 1 != 0;
        (0..self.count()).filter(is_dirty)
    }

    /// Addresses of the dirty pages.
    pub fn addresses(&self) -> Vec<u64> {
        let address = |page| self.range.iova + page * self.page_size;
        self.numbers().map(address).collect()
    }

    /// Whether each page is dirty.
    pub fn are_all(&self) -> bool {
        self.numbers().count() as u64 == self.count()
    }

    /// Whether no page is dirty.
    pub fn are_none(&self) -> bool {
        self.numbers().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_a_page() {
        let range = IovaRange {
            iova: 0x10_0000,
            length: 66 * 4096,
        };
        let dirty = DirtyPages::new(range, 4096, vec![1 << 1 | 1 << 63, 1 << 1 | 1 << 2]);
        assert_eq!(dirty.numbers().collect::<Vec<_>>(), [1, 63, 65]);
        assert_eq!(dirty.addresses(), [0x10_1000, 0x13_f000, 0x14_1000]);
        assert!(!dirty.are_all() && !dirty.are_none());
        assert!(DirtyPages::new(range, 4096, vec![!0, 3]).are_all());
        assert!(DirtyPages::new(range, 4096, vec![0, 4]).are_none());
    }
}
