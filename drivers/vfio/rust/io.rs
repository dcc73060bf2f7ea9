// SPDX-License-Identifier: GPL-2.0

//! A mapping of device registers that claims nothing.
//!
//! vfio-pci-core owns the regions of its device. A variant driver that must reach registers
//! behind the user's back maps them a second time; [`kernel::pci::Bar`] cannot be used for that,
//! as it requests the region.
//!
//! A session, and the driver's data of a device, can outlive the driver's binding to the function.
//! So the registers are reached only with a reference that proves the binding, as it is with
//! [`Devres`], and the mapping is undone when the function is unbound.

use crate::bindings;
use kernel::{
    device::Bound,
    devres::Devres,
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

/// A mapping of all of a BAR, of `SIZE` bytes at least.
///
/// The memory of a function that is no VF answers only while the user has it enabled, and not
/// during a reset: [`MemoryLockGuard::registers`] gives the registers of any function, for a few accesses.
/// The memory of a VF is always enabled: [`BarMap::vf_registers`].
///
/// [`MemoryLockGuard::registers`]: crate::device::MemoryLockGuard::registers
pub struct BarMap<const SIZE: usize>(Devres<Mapping<SIZE>>);

impl<const SIZE: usize> BarMap<SIZE> {
    /// Maps BAR `index` of `pdev`. The mapping ends when the value is dropped, and when the
    /// function is unbound.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if there is no such BAR. [`EIO`] if it is shorter than `SIZE` bytes, has no
    /// address, is in I/O space, or cannot be mapped. [`ENOMEM`].
    ///
    /// C: `pci_ioremap_bar()`
    pub fn new(pdev: &pci::Device<Bound>, index: u32) -> Result<Self> {
        let mapping = Mapping::new(pdev, index)?;
        Ok(Self(Devres::new(pdev.as_ref(), Ok::<_, Error>(mapping))?))
    }

    /// Returns the registers of the VF `pdev`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the mapping is of another function, or if `pdev` is no VF.
    pub fn vf_registers<'a>(
        &'a self,
        pdev: &'a pci::Device<Bound>,
    ) -> Result<Mmio<'a, Region<SIZE>>> {
        // SAFETY: `pci::Device` is a transparent wrapper of a valid `struct pci_dev`.
        if unsafe { (*as_raw(pdev)).is_virtfn() } == 0 {
            return Err(EINVAL);
        }
        self.registers(pdev)
    }

    /// Returns the registers of `pdev`, whether or not its memory answers.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the mapping is of another function.
    pub(crate) fn registers<'a>(
        &'a self,
        pdev: &'a pci::Device<Bound>,
    ) -> Result<Mmio<'a, Region<SIZE>>> {
        let mapping = self.0.access(pdev.as_ref())?;
        // SAFETY: By its type invariants the mapping lasts as long as it is borrowed.
        Ok(unsafe { Mmio::from_raw(mapping.0) })
    }
}

/// Returns the first `N` bytes of `registers`.
pub fn prefix<const SIZE: usize, const N: usize>(
    registers: Mmio<'_, Region<SIZE>>,
) -> Mmio<'_, Region<N>> {
    const { assert!(N <= SIZE && N % 4 == 0) };

    let ptr = Region::ptr_from_raw_parts_mut(MmioBackend::as_ptr(registers).cast(), N);
    // SAFETY: `ptr` covers the first `N` bytes of the registers, which are not fewer.
    unsafe { MmioBackend::project_view(registers, ptr) }
}

/// Returns the address of `registers`, for C code that is given an `__iomem` pointer. It is good
/// for as long as the registers are borrowed.
pub fn as_ptr<const SIZE: usize>(registers: Mmio<'_, Region<SIZE>>) -> *mut c_void {
    MmioBackend::as_ptr(registers).cast()
}

/// What is mapped.
///
/// # Invariants
///
/// It describes a mapping that `pci_ioremap_bar()` has made, undone in `drop` and nowhere else.
struct Mapping<const SIZE: usize>(MmioRaw<Region<SIZE>>);

impl<const SIZE: usize> Mapping<SIZE> {
    fn new(pdev: &pci::Device<Bound>, index: u32) -> Result<Self> {
        if index >= kernel::bindings::PCI_STD_NUM_BARS {
            return Err(EINVAL);
        }
        let size = usize::try_from(pdev.resource_len(index)?)?;
        if size < SIZE {
            return Err(EIO);
        }

        // SAFETY: `pdev` is a valid device, and `index` one of its BARs.
        //
        // CAST: The index is below 6.
        let addr = unsafe { bindings::pci_ioremap_bar(as_raw(pdev), index as c_int) };
        if addr.is_null() {
            return Err(EIO);
        }

        match MmioRaw::new_region(addr as usize, size) {
            // INVARIANT: The mapping was just made.
            Ok(raw) => Ok(Self(raw)),
            Err(_) => {
                // SAFETY: `addr` is the mapping made above, and is not used any more.
                unsafe { kernel::bindings::iounmap(addr) };
                Err(EIO)
            }
        }
    }
}

impl<const SIZE: usize> Drop for Mapping<SIZE> {
    fn drop(&mut self) {
        let addr = core::ptr::with_exposed_provenance_mut(self.0.addr());
        // SAFETY: By the type invariants the mapping ends here only, and nothing borrows it.
        unsafe { kernel::bindings::iounmap(addr) };
    }
}

fn as_raw(pdev: &pci::Device<Bound>) -> *mut kernel::bindings::pci_dev {
    core::ptr::from_ref(pdev).cast_mut().cast()
}
