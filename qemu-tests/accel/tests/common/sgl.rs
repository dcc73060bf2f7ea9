// SPDX-License-Identifier: GPL-2.0

//! Scatter-gather lists as built by a driver.

use super::Machine;

/// Lays out `pieces` (address, length) as lists of at most `per_list` entries, starting at `lists`; returns the address
/// of the first list.
pub fn lay_out(machine: &mut Machine, lists: u64, pieces: &[(u64, u32)], per_list: usize) -> u64 {
    let size = 64 + 32 * per_list as u64;
    let count = pieces.len().div_ceil(per_list) as u64;
    for (number, chunk) in (0..count).zip(pieces.chunks(per_list)) {
        let mut list = vec![0; size as usize];
        let next = if number + 1 < count {
            lists + size * (number + 1)
        } else {
            0
        };
        list[..8].copy_from_slice(&next.to_le_bytes());
        list[10..12].copy_from_slice(&(chunk.len() as u16).to_le_bytes());
        for (entry, (address, length)) in list[64..].chunks_exact_mut(32).zip(chunk) {
            entry[..8].copy_from_slice(&address.to_le_bytes());
            entry[16..20].copy_from_slice(&length.to_le_bytes());
        }
        machine.store(lists + size * number, &list);
    }
    lists
}
