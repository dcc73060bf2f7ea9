// SPDX-License-Identifier: GPL-2.0

//! A ring buffer of the most recent items.
//!
//! VFIO core's debugfs compiles this file as well.

/// The last `N` items that were pushed.
#[derive(Clone, Copy)]
pub struct RecentRing<T, const N: usize> {
    items: [Option<T>; N],
    /// Number of items that were pushed, including overwritten ones. A user who makes a driver push
    /// a million items each second needs 500,000 years to make it overflow.
    count: u64,
}

impl<T: Copy, const N: usize> RecentRing<T, N> {
    /// The empty ring.
    pub const EMPTY: Self = Self {
        items: [None; N],
        count: 0,
    };

    /// The place of the item with a number, which is counted from 0 here.
    const fn index(number: u64) -> usize {
        // CAST: The remainder is less than `N`.
        (number % N as u64) as usize
    }

    /// Pushes `item`, overwriting the oldest of `N` items. Returns the number of the item, counted
    /// from 1.
    pub fn push(&mut self, item: T) -> u64 {
        self.items[Self::index(self.count)] = Some(item);
        self.count += 1;
        self.count
    }

    /// Returns the item that was pushed last.
    pub fn newest_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.count)
    }

    /// Returns the item with a number, unless it is overwritten.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (oldest, newest) = self.numbers();
        if number < oldest || number > newest {
            return None;
        }
        self.items[Self::index(number - 1)].as_mut()
    }

    /// Returns the numbers of the oldest and of the newest item. The first one is the greater if
    /// there is no item.
    pub fn numbers(&self) -> (u64, u64) {
        (self.count.saturating_sub(N as u64) + 1, self.count)
    }

    /// Removes all items. The next item has the number 1.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Iterates over the items, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (oldest, newest) = self.numbers();
        (oldest..=newest).filter_map(|number| self.items[Self::index(number - 1)].as_ref())
    }
}
