// SPDX-License-Identifier: GPL-2.0

//! A mapping of device registers that claims nothing.
//!
//! vfio-pci-core owns the regions of its device. A variant driver that must reach registers
//! behind the user's back maps them a second time; [`kernel::pci::Bar`] cannot be used for that,
//! as it requests the region.

use kernel::{
    bindings,
    io::{
        IoBackend,
        Mmio,
        MmioBackend,
        MmioRaw,
        Region, //
    },
    pci,
    prelude::*, //
};

/// An `ioremap()` of a BAR of at least `SIZE` bytes. Dropping it unmaps.
///
/// # Invariants
///
/// `raw` describes an `ioremap()` mapping that is made in [`BarMap::new`], undone in `drop` and
/// nowhere else.
pub struct BarMap<const SIZE: usize> {
    raw: MmioRaw<Region<SIZE>>,
}

impl<const SIZE: usize> BarMap<SIZE> {
    /// Maps all of BAR `index` of `pdev`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if there is no such BAR, [`EIO`] if it is shorter than `SIZE` bytes or cannot
    /// be mapped.
    pub fn new(pdev: &pci::Device, index: u32) -> Result<Self> {
        let start = pdev.resource_start(index)?;
        let len = pdev.resource_len(index)?;
        let size = usize::try_from(len)?;
        if size < SIZE {
            return Err(EIO);
        }

        // SAFETY: `ioremap()` has no preconditions; what the mapping is good for is the caller's
        // business, and the BAR of a device whose driver runs is I/O memory.
        let addr = unsafe { bindings::ioremap(start, size) };
        if addr.is_null() {
            return Err(EIO);
        }

        match MmioRaw::new_region(addr as usize, size) {
            // INVARIANT: the mapping was just made.
            Ok(raw) => Ok(Self { raw }),
            Err(_) => {
                // SAFETY: `addr` comes from `ioremap()` above and is not used any more.
                unsafe { bindings::iounmap(addr) };
                Err(EIO)
            }
        }
    }

    /// The registers.
    pub fn io(&self) -> Mmio<'_, Region<SIZE>> {
        // SAFETY: by the type invariants the mapping lives as long as `self`.
        unsafe { Mmio::from_raw(self.raw) }
    }

    /// The first `N` bytes of the registers.
    pub fn prefix<const N: usize>(&self) -> Mmio<'_, Region<N>> {
        const { assert!(N <= SIZE && N.is_multiple_of(4)) };

        let view = self.io();
        let ptr = Region::ptr_from_raw_parts_mut(MmioBackend::as_ptr(view).cast(), N);
        // SAFETY: `ptr` covers the first `N` bytes of the view, which has not fewer.
        unsafe { MmioBackend::project_view(view, ptr) }
    }

    /// Address of the mapping, for C code that is given an `__iomem` pointer.
    ///
    /// It is good for as long as `self` lives.
    pub fn as_ptr(&self) -> *mut c_void {
        core::ptr::with_exposed_provenance_mut(self.raw.addr())
    }
}

impl<const SIZE: usize> Drop for BarMap<SIZE> {
    fn drop(&mut self) {
        // SAFETY: by the type invariants this is the mapping's only end, and nothing borrows it.
        unsafe { bindings::iounmap(self.as_ptr()) };
    }
}
