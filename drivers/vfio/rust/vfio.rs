// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the VFIO core and vfio-pci-core, for PCI variant drivers.
//!
//! A variant driver is vfio-pci for one kind of device, of which it does something by itself:
//! mostly to save the device's state on one host and to load it on another. It writes no `unsafe`
//! for what VFIO is about; what is particular to its hardware stays with it.
//!
//! # What a driver consists of
//!
//! - [`device::Operations`], for the driver's data of one device. All but its making has defaults,
//!   with which the device is what it is under vfio-pci, but for what is listed under
//!   [Limits](#limits).
//! - For a device that can migrate: a [`migration::Migration`], which the device returns a
//!   reference to. Where the state is one structure, that is a [`migration::StateMachine`], and the
//!   driver writes a [`migration::Migrate`] (how the device is stopped, saved and loaded) and a
//!   [`migration::StreamFormat`] (which data it takes). Larger states have sessions of their own, on
//!   [`data_file`].
//! - [`vfio_device_table!`] and [`module_vfio_pci_driver!`].
//! - Where it wants to: files in debugfs, with [`debugfs`].
//!
//! [`prelude`] has the names for all of it.
//!
//! # While the driver is bound
//!
//! The driver's data of a device can outlive the binding, and so can a session. Callbacks that are
//! called only while the function is bound get proof of it, a [`device::CoreDevice`] or a
//! [`device::Device`] in the context [`Bound`](kernel::device::Bound), and registers,
//! configuration space and power are reached only with it.
//!
//! # Who may wait for whom
//!
//! From the outside in: the device lock of the PCI function, the core's memory lock, the lock in
//! [`reset::ResetMutex`], a session's lock. A reset holds the first two, so it only tries to take the
//! third. User memory is touched with none of them held, as a page fault on the device's own
//! memory takes the second. A [`device::MemoryLockGuard`] takes the second inside the third: nothing that
//! holds it waits for the third.
//!
//! # Limits
//!
//! - There is no dirty page tracking (`struct vfio_log_ops`); the VMM takes the IOMMU's.
//! - The SR-IOV of a physical function is not configured through the driver.
//! - `VFIO_DEVICE_FEATURE_DMA_BUF` is not supported (`struct vfio_pci_device_ops`): other devices
//!   could access a BAR by it, and the core knows nothing of what [`device::Operations::user_accessible_len`]
//!   keeps from the user.
//! - vfio-pci's module parameters `nointxmask`, `disable_idle_d3` and `disable_vga` have no
//!   counterpart; the core's defaults hold.
//!
//! # Building
//!
//! The crate is built into the module that uses it, see `vfio.mk`.
//!
//! # Example
//!
//! `samples/vfio-rust/vfio_edu.rs`, a whole driver. `Documentation/driver-api/vfio-variant-rust.rst`
//! goes through it.
//!
//! ```ignore
#![cfg_attr(doc, doc = include_str!("../../../samples/vfio-rust/vfio_edu.rs"))]
//! ```
//!
//! C headers: `include/linux/vfio.h`, `include/linux/vfio_pci_core.h`

/// As [`kernel::new_mutex!`], for generic code.
///
/// Such code is instantiated in more than one crate, and a literal has an address of its own in
/// each. lockdep knows a name by its address, and there is one lock class for all of them.
macro_rules! new_generic_mutex {
    ($inner:expr, $name:literal) => {{
        static NAME: &kernel::str::CStr = $name;
        kernel::sync::Mutex::new($inner, NAME, kernel::static_lock_class!())
    }};
}

#[doc(hidden)]
pub mod bindings;

pub mod data_file;
pub mod debugfs;
pub mod device;
pub mod device_id;
pub mod io;
pub mod migration;
pub mod pci;
pub mod prelude;
mod region;
pub mod reset;
pub mod timestamp;

/// The module that unit tests stand for, as in the kernel crate.
#[cfg(CONFIG_KUNIT = "y")]
struct LocalModule;

#[cfg(CONFIG_KUNIT = "y")]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"vfio";

    const THIS_MODULE: kernel::ThisModule = {
        // SAFETY: Where a module is asked for, none will do.
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}
