// SPDX-License-Identifier: GPL-2.0

//! Maps a BAR without requesting its region.
//!
//! vfio-pci-core has requested the regions of its device. A variant driver that accesses registers
//! itself, beside the user, maps them a second time. [`kernel::pci::Bar`] cannot be used for this,
//! because it requests the region.
//!
//! A session, and the driver's data of a device, can outlive the driver's binding to the function.
//! Therefore the registers can be reached only with a reference that proves the binding, as with
//! [`Devres`], and the BAR is unmapped when the function is unbound.

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

/// A mapping of a whole BAR of at least `SIZE` bytes.
///
/// The memory of a function that is not a VF responds only while the user has it enabled, and not
/// during a reset: [`MemoryLockGuard::registers`] returns the registers of any function, for a few
/// accesses. The memory of a VF is always enabled: see [`BarMap::vf_registers`].
///
/// [`MemoryLockGuard::registers`]: crate::device::MemoryLockGuard::registers
pub struct BarMap<const SIZE: usize>(Devres<Mapping<SIZE>>);

impl<const SIZE: usize> BarMap<SIZE> {
    /// Maps BAR `index` of `pdev`. The BAR is unmapped when the value is dropped or the function is
    /// unbound.
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
    /// [`EINVAL`] if the mapping belongs to another function, or if `pdev` is not a VF.
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

    /// Returns the registers of `pdev`, whether or not its memory responds.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the mapping belongs to another function.
    pub(crate) fn registers<'a>(
        &'a self,
        pdev: &'a pci::Device<Bound>,
    ) -> Result<Mmio<'a, Region<SIZE>>> {
        let mapping = self.0.access(pdev.as_ref())?;
        // SAFETY: By the type invariants of `Mapping`, the registers stay mapped while it is
        // borrowed.
        Ok(unsafe { Mmio::from_raw(mapping.0) })
    }
}

/// Returns the first `N` bytes of `registers`.
pub fn prefix<const SIZE: usize, const N: usize>(
    registers: Mmio<'_, Region<SIZE>>,
) -> Mmio<'_, Region<N>> {
    const { assert!(N <= SIZE && N % 4 == 0) };

    let ptr = Region::ptr_from_raw_parts_mut(MmioBackend::as_ptr(registers).cast(), N);
    // SAFETY: `ptr` covers the first `N` bytes of the registers, of which there are at least `N`.
    unsafe { MmioBackend::project_view(registers, ptr) }
}

/// Returns the address of `registers`, for C code that takes an `__iomem` pointer. It is valid
/// while the registers are borrowed.
pub fn as_ptr<const SIZE: usize>(registers: Mmio<'_, Region<SIZE>>) -> *mut c_void {
    MmioBackend::as_ptr(registers).cast()
}

/// A BAR that is mapped.
///
/// # Invariants
///
/// It describes a mapping created by `pci_ioremap_bar()`, which is unmapped in `drop` and nowhere
/// else.
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
