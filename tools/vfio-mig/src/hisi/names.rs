// SPDX-License-Identifier: GPL-2.0

//! Names of numbers: engines and hardware versions.

/// The engine of a VF with this PCI device ID.
pub fn engine(device: u64) -> Option<&'static str> {
    match device {
        0xa251 => Some("zip"),
        0xa256 => Some("sec"),
        0xa259 => Some("hpre"),
        _ => None,
    }
}

/// The name of a version of the queue manager, `enum qm_hw_ver` of the kernel.
pub fn hardware(version: u64) -> Option<&'static str> {
    match version {
        0x20 => Some("V1"),
        0x21 => Some("V2"),
        0x30 => Some("V3"),
        0x50 => Some("V4"),
        0x51 => Some("V5"),
        _ => None,
    }
}
