// SPDX-License-Identifier: GPL-2.0

//! A ring buffer of the most recent items.

/// The last `N` items that were pushed.
#[derive(Clone, Copy)]
pub(crate) struct RecentRing<T, const N: usize> {
    items: [Option<T>; N],
    /// Number of items that were pushed, including overwritten ones.
    count: u32,
}

impl<T: Copy, const N: usize> RecentRing<T, N> {
    /// The empty ring.
    pub(crate) const EMPTY: Self = Self {
        items: [None; N],
        count: 0,
    };

    /// Pushes `item`, overwriting the oldest of `N` items.
    pub(crate) fn push(&mut self, item: T) {
        self.items[self.count as usize % N] = Some(item);
        self.count += 1;
    }

    /// Returns the item that was pushed last.
    pub(crate) fn newest_mut(&mut self) -> Option<&mut T> {
        self.items[self.count.checked_sub(1)? as usize % N].as_mut()
    }

    /// Removes all items.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    /// Iterates over the items, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let count = self.count as usize;
        (count.saturating_sub(N)..count).filter_map(|n| self.items[n % N].as_ref())
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_recent_ring)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_are_kept() {
        let mut last = RecentRing::<u32, 4>::EMPTY;
        assert_eq!(last.iter().count(), 0);
        last.push(1);
        assert!(last.iter().eq([1].iter()));
        for n in 2..=6 {
            last.push(n);
        }
        assert!(last.iter().eq([3, 4, 5, 6].iter()));
        assert_eq!(last.newest_mut(), Some(&mut 6));
        last.clear();
        assert_eq!(last.newest_mut(), None);
        last.push(7);
        assert!(last.iter().eq([7].iter()));
    }
}
