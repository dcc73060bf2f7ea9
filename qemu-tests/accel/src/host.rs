// SPDX-License-Identifier: GPL-2.0

//! The interface that the model needs from the surrounding machine.

/// Number of a function inside the device: 0 is the physical function, `n` is virtual function `n`.
///
/// Linux counts VFs from 0 (`pci_iov_vf_id()`); the queue manager's tables, its messages and this model count the
/// PF as 0 and the first VF as 1 (source: `vf_id` in `hisi_acc_vfio_pci.c`).
pub type FunctionId = u16;

/// The IOMMU or the memory system rejected an access by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DMA at {address:#x} was rejected")]
pub struct DmaFault {
    /// Address as seen on the bus.
    pub address: u64,
}

/// Memory, interrupts and time, as one function of the device sees them.
///
/// Every access names the function that performs it, because each function has its own requester id and an IOMMU
/// isolates them from each other.
pub trait Host {
    /// Reads `data.len()` bytes of memory at `address` as `function`.
    ///
    /// # Errors
    ///
    /// [`DmaFault`] if an access to any byte is rejected; `data` is then unspecified.
    fn dma_read(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &mut [u8],
    ) -> Result<(), DmaFault>;

    /// Writes `data` to memory at `address` as `function`.
    ///
    /// # Errors
    ///
    /// [`DmaFault`] if an access to any byte is rejected; the bytes before it may have been written.
    fn dma_write(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &[u8],
    ) -> Result<(), DmaFault>;

    /// Sends MSI `vector` (0..=3) of `function`.
    fn msi(&mut self, function: FunctionId, vector: u8);

    /// Returns the time in nanoseconds; it never goes back while the machine runs.
    fn now_ns(&self) -> u64;

    /// Requests a call of [`Device::timer`](crate::Device::timer) at `deadline_ns`, which replaces any earlier request;
    /// `None` cancels it.
    fn set_timer(&mut self, deadline_ns: Option<u64>);
}
