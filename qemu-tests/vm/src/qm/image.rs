// SPDX-License-Identifier: GPL-2.0

//! The memory image of the VM: what is at which address.

use std::sync::Arc;

use anyhow::Result;
use linux::ffi::Mapping;
use vfio_client::{LARGEST_PAGE, Memory};

use super::layout::{CONTEXT_SIZE, CQE_SIZE, EQE_SIZE, LARGEST_SQE, SGL_SIZE};

/// Where the memory of a VM begins for the device, unless told otherwise. Above 4 GiB, so that
/// the high half of every address matters.
pub const IOVA: u64 = 0x1_0000_0000;

/// Depths of the rings that `hisi_qm` would use too; the device has to agree.
pub(super) const EQ_DEPTH: u16 = 2048;
pub(super) const AEQ_DEPTH: u16 = 1024;
pub(super) const QUEUE_DEPTH: u16 = 1024;

/// Most queues the image has context space for.
const MAX_CONTEXTS: usize = 1024;
/// Queues that really work.
pub(super) const QUEUES: u16 = 4;
/// Requests that can be outstanding at one time.
pub(super) const SLOTS: usize = 256;
/// Bytes of input or output a request has room for.
pub const SLOT_BUFFER: usize = 32 << 10;

const PAGE: usize = 4096;

const fn pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

const SCRATCH: usize = 0;
const EQ: usize = SCRATCH + PAGE;
const AEQ: usize = EQ + pages(EQ_DEPTH as usize * EQE_SIZE);
const SQC: usize = AEQ + pages(AEQ_DEPTH as usize * EQE_SIZE);
const CQC: usize = SQC + pages(MAX_CONTEXTS * CONTEXT_SIZE);
const QUEUE: usize = CQC + pages(MAX_CONTEXTS * CONTEXT_SIZE);
const SQ_SIZE: usize = pages(QUEUE_DEPTH as usize * LARGEST_SQE);
const CQ_SIZE: usize = pages(QUEUE_DEPTH as usize * CQE_SIZE);
pub(super) const SLOT: usize = QUEUE + QUEUES as usize * (SQ_SIZE + CQ_SIZE);
pub(super) const SLOT_HEAD: usize = PAGE;
pub(super) const SLOT_PARAMETERS: usize = (2 * SGL_SIZE).next_multiple_of(64);
/// Bytes of keys and the like that a request has room for.
pub(super) const PARAMETERS_SIZE: usize = SLOT_HEAD - SLOT_PARAMETERS;
pub(super) const SLOT_SIZE: usize = SLOT_HEAD + 2 * SLOT_BUFFER;
const TOTAL: usize = (SLOT + SLOTS * SLOT_SIZE).next_multiple_of(LARGEST_PAGE as usize);

/// The memory and what lies where. All results are offsets; `address()` makes an offset the
/// device's.
pub struct Image {
    pub(super) memory: Arc<Mapping>,
    iova: u64,
}

impl Image {
    /// Memory that begins at `iova` for the device.
    pub fn new(iova: u64) -> Result<Self> {
        let memory = Arc::new(Mapping::memory(TOTAL)?);
        Ok(Image { memory, iova })
    }

    /// Where the memory after this one may begin.
    pub(super) fn end(&self) -> u64 {
        self.address(TOTAL)
    }

    pub(super) fn address(&self, offset: usize) -> u64 {
        self.iova + offset as u64
    }

    /// All of it, for the device's DMA.
    pub(super) fn for_dma(&self) -> Memory {
        Memory {
            mapping: self.memory.clone(),
            iova: self.iova,
        }
    }

    /// Where contexts lie while the mailbox hands them over.
    pub(super) fn scratch() -> usize {
        SCRATCH
    }

    pub(super) fn eq() -> usize {
        EQ
    }

    pub(super) fn aeq() -> usize {
        AEQ
    }

    /// The table into which the device writes submission queue contexts.
    pub(super) fn sqc_table() -> usize {
        SQC
    }

    /// The table into which the device writes completion queue contexts.
    pub(super) fn cqc_table() -> usize {
        CQC
    }

    pub(super) fn sq(queue: u16) -> usize {
        QUEUE + usize::from(queue) * (SQ_SIZE + CQ_SIZE)
    }

    pub(super) fn cq(queue: u16) -> usize {
        Self::sq(queue) + SQ_SIZE
    }
}
