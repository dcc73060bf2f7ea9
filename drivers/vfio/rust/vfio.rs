// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the VFIO core and vfio-pci-core, for PCI variant drivers.
//!
//! A variant driver extends vfio-pci for one kind of device, most often so that its state can be
//! saved on one host and restored on another. It needs no `unsafe` code for VFIO itself; code that
//! is specific to the hardware stays in the driver.
//!
//! # What a driver consists of
//!
//! - [`device::Operations`], for the driver's data of one device. Everything except construction
//!   has a default, which behaves as vfio-pci does, except for what is listed under
//!   [Limits](#limits).
//! - For a device that can migrate: a [`migration::Migration`], to which the device returns a
//!   reference. If the state is one structure, this is a [`migration::StateMachine`], and the
//!   driver implements [`migration::Migrate`] (how the device is stopped, saved and loaded) and
//!   [`migration::StreamFormat`] (which data it accepts).
//! - Tracking of the pages that the device writes, if the IOMMU does not do it:
//!   [`dirty_tracking::DirtyTracking`] chooses, and [`migration::StateMachine::with_dma_logging`]
//!   suffices for a device that cannot log. Others implement [`dma_logging::DmaLogging`].
//! - [`vfio_device_table!`] and [`module_vfio_pci_driver!`].
//! - Optionally, files in debugfs, with [`debugfs`].
//!
//! [`prelude`] exports the names for all of this.
//!
//! # While the driver is bound
//!
//! The driver's data of a device can outlive the binding, and so can a session. Callbacks that are
//! called only while the function is bound get a proof of the binding: a [`device::CoreDevice`] or
//! a [`device::Device`] in the context [`Bound`](kernel::device::Bound). Registers, configuration
//! space and power management can be reached only with this proof.
//!
//! # Lock order
//!
//! From the outermost lock to the innermost: the device lock of the PCI function, the core's memory
//! lock, the lock of the [`migration::StateMachine`], a session's lock. A reset holds the first two, so it
//! only tries to take the third. User memory is accessed with none of them held, because a page
//! fault on the device's own memory takes the second. A [`device::MemoryLockGuard`] takes the
//! second inside the third; no holder of the second waits for the third.
//!
//! # Limits
//!
//! - There are no data files for other states than the structure of a
//!   [`migration::StateMachine`].
//! - SR-IOV of a physical function cannot be configured through the driver.
//! - `VFIO_DEVICE_FEATURE_DMA_BUF` is not supported (`struct vfio_pci_device_ops`): other devices
//!   could access a BAR through it, and the core does not know which part
//!   [`device::Operations::user_accessible_len`] hides from the user.
//! - vfio-pci's module parameters `nointxmask`, `disable_idle_d3` and `disable_vga` have no
//!   counterpart; the core's defaults apply.
//!
//! # Building
//!
//! The crate is built into each module that uses it, see `vfio.mk`.
//!
//! # Example
//!
//! `samples/vfio-rust/vfio_edu.rs` is a complete driver.
//! `Documentation/driver-api/vfio-variant-rust.rst` explains it.
//!
//! ```ignore
#![cfg_attr(doc, doc = include_str!("../../../samples/vfio-rust/vfio_edu.rs"))]
//! ```
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h),
//! [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

/// Like [`kernel::new_mutex!`], for generic code.
///
/// Generic code is instantiated in several crates, and a literal has a different address in each of
/// them. lockdep identifies a name by its address, and all instances share one lock class.
macro_rules! new_generic_mutex {
    ($inner:expr, $name:literal) => {{
        static NAME: &kernel::str::CStr = $name;
        kernel::sync::Mutex::new($inner, NAME, kernel::static_lock_class!())
    }};
}

#[doc(hidden)]
pub mod bindings;

mod data_file;
pub mod debugfs;
pub mod device;
pub mod device_id;
pub mod dirty_tracking;
pub mod dma_logging;
pub mod io;
pub mod migration;
pub mod pci;
pub mod prelude;
pub mod recent_ring;
mod region;
mod reset;
#[cfg(CONFIG_KUNIT = "y")]
mod shared_tests;
pub mod timestamp;

/// The module that unit tests belong to, as in the kernel crate.
#[cfg(CONFIG_KUNIT = "y")]
struct LocalModule;

#[cfg(CONFIG_KUNIT = "y")]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"vfio";

    const THIS_MODULE: kernel::ThisModule = {
        // SAFETY: A null module pointer is valid: it denotes built-in code.
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}
