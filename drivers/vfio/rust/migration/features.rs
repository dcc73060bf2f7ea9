// SPDX-License-Identifier: GPL-2.0

//! The set of optional parts of the migration protocol that a device supports.
//!
//! VFIO core's debugfs compiles this file as well.

use crate::bindings;
use bitflags::bitflags;

bitflags! {
    /// The features that a device supports, the bits `VFIO_MIGRATION_*` of `struct vfio_device`.
    ///
    /// C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u32 {
        /// State transfer while the device is stopped. Every device that can migrate supports it.
        const STOP_COPY = bindings::VFIO_MIGRATION_STOP_COPY;
        /// The P2P states.
        const P2P = bindings::VFIO_MIGRATION_P2P;
        /// State transfer while the device runs.
        const PRE_COPY = bindings::VFIO_MIGRATION_PRE_COPY;
    }
}
