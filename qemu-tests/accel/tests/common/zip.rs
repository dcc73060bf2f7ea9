// SPDX-License-Identifier: GPL-2.0

//! Requests of the ZIP engine.

/// Returns a ZIP request on flat buffers.
pub fn request(source: u64, length: u32, destination: u64, room: u32, tag: u64) -> [u8; 128] {
    let mut entry = [0; 128];
    let mut set = |word: usize, value: u32| {
        entry[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
    };
    set(4, length);
    set(7, 3 << 28);
    set(9, 1 | 2 << 12);
    set(14, room);
    set(18, source as u32);
    set(19, (source >> 32) as u32);
    set(20, destination as u32);
    set(21, (destination >> 32) as u32);
    set(26, tag as u32);
    set(27, (tag >> 32) as u32);
    entry
}
