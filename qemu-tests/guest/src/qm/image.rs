// SPDX-License-Identifier: GPL-2.0

//! The memory image of the VM: what is at which address.

use std::sync::Arc;

use anyhow::Result;

use super::layout::{CONTEXT_SIZE, CQE_SIZE, EQE_SIZE, SGL_SIZE, SQE_SIZE};
use crate::ffi::Mapping;

/// Where the VM's memory begins for the device. Above 4 GiB, so that the high half of every
/// address matters.
pub(crate) const IOVA: u64 = 0x1_0000_0000;

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
pub(super) const SLOT_BUFFER: usize = 32 << 10;

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
const SQ_SIZE: usize = pages(QUEUE_DEPTH as usize * SQE_SIZE);
const CQ_SIZE: usize = pages(QUEUE_DEPTH as usize * CQE_SIZE);
const SLOT: usize = QUEUE + QUEUES as usize * (SQ_SIZE + CQ_SIZE);
const SLOT_HEAD: usize = pages(2 * SGL_SIZE);
const SLOT_SIZE: usize = SLOT_HEAD + 2 * SLOT_BUFFER;
const TOTAL: usize = SLOT + SLOTS * SLOT_SIZE;

/// The memory and what lies where. All results are offsets; [`Image::address`] makes an offset
/// the device's.
pub(super) struct Image(pub(super) Arc<Mapping>);

impl Image {
    pub(super) fn new() -> Result<Self> {
        Ok(Image(Arc::new(Mapping::memory(TOTAL)?)))
    }

    pub(super) fn address(offset: usize) -> u64 {
        IOVA + offset as u64
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

    pub(super) fn source_sgl(slot: usize) -> usize {
        SLOT + slot * SLOT_SIZE
    }

    pub(super) fn destination_sgl(slot: usize) -> usize {
        Self::source_sgl(slot) + SGL_SIZE
    }

    pub(super) fn source(slot: usize) -> usize {
        Self::source_sgl(slot) + SLOT_HEAD
    }

    pub(super) fn destination(slot: usize) -> usize {
        Self::source(slot) + SLOT_BUFFER
    }
}
