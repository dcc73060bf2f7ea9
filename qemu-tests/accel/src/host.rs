// SPDX-License-Identifier: GPL-2.0

//! What the model needs from the machine around it.

/// Number of a function inside the device: 0 is the physical function, `n` is virtual function `n`.
///
/// Linux counts VFs from 0 (`pci_iov_vf_id()`); the queue manager's tables, its messages and this model count the
/// PF as 0 and the first VF as 1 (source: `vf_id` in `hisi_acc_vfio_pci.c`).
pub type FunctionId = u16;

/// The IOMMU or the memory system refused an access of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DMA at {address:#x} refused")]
pub struct DmaFault {
    /// Address as the function put it on the bus.
    pub address: u64,
}

/// Memory, interrupts and time, as one function of the device sees them.
///
/// Every access carries the function that makes it, because each function has a requester id of its own and an
/// IOMMU keeps them apart.
pub trait Host {
    /// Reads `data.len()` bytes of memory at `address` as `function`.
    ///
    /// # Errors
    ///
    /// [`DmaFault`] if any byte is refused; `data` is unspecified then.
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
    /// [`DmaFault`] if any byte is refused; the bytes before it may have been written.
    fn dma_write(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &[u8],
    ) -> Result<(), DmaFault>;

    /// Sends MSI `vector` (0..=3) of `function`.
    fn msi(&mut self, function: FunctionId, vector: u8);

    /// Time in nanoseconds; never goes back while the machine runs.
    fn now_ns(&self) -> u64;

    /// Asks for a call of [`Device::timer`](crate::Device::timer) at `deadline_ns`, in place of any earlier wish;
    /// `None` withdraws it.
    fn set_timer(&mut self, deadline_ns: Option<u64>);
}
