// SPDX-License-Identifier: GPL-2.0

//! The function block of a VF as its driver sees it: registers, mailbox, doorbells.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use linux::ffi::{self, Mapping};
use linux::timeouts::Deadline;

/// `QM_VF_AEQ_INT_MASK`: 1 keeps the abnormal event queue from interrupting.
pub const AEQ_INT_MASK: usize = 0x4;
/// `QM_VF_EQ_INT_MASK`: 1 keeps the event queue from interrupting.
pub const EQ_INT_MASK: usize = 0xc;
/// `QM_IFC_INT_SOURCE_V`: the PF has left a message; written to acknowledge it.
pub const IFC_INT_SOURCE: usize = 0x20;
/// `QM_IFC_INT_MASK`: 1 keeps the PF's messages from interrupting.
pub const IFC_INT_MASK: usize = 0x24;
/// `QM_IFC_INT_STATUS`: the PF's message is to interrupt.
pub const IFC_INT_STATUS: usize = 0x28;
/// `QM_IFC_INT_SET_V`: rings at the PF.
pub const IFC_INT_SET: usize = 0x2c;
/// `QM_QUE_ISO_CFG_V`: the doorbells are in another BAR.
pub const QUEUE_ISOLATION: usize = 0x30;
/// `QM_PAGE_SIZE`.
pub const PAGE_SIZE: usize = 0x34;
/// `QM_FUN_DB_DROP`, on hardware V5: doorbells have no effect.
pub const DOORBELL_DROP: usize = 0x38;
/// `QM_VF_STATE`: whether the VF's driver is ready.
pub const VF_STATE: usize = 0x60;
/// `QM_MB_CMD_SEND_BASE`: the first of the mailbox's four words.
pub const MAILBOX: usize = 0x300;
/// `QM_DOORBELL_SQ_CQ_BASE_V2`: the doorbells of submission and completion queues.
pub const SQ_CQ_DOORBELL: usize = 0x1000;
/// `QM_DOORBELL_EQ_AEQ_BASE_V2`: the doorbells of both event queues.
pub const EQ_AEQ_DOORBELL: usize = 0x2000;
/// Depths of event queue and abnormal event queue, 16 bits each.
pub const EQ_AEQ_DEPTH: usize = 0x3104;
/// Depths of submission and completion queues, 16 bits each.
pub const QUEUE_DEPTH: usize = 0x3108;

/// Value of [`VF_STATE`]: the driver is ready.
pub const READY: u32 = 0;
/// Value of [`VF_STATE`]: the driver is not ready.
pub const NOT_READY: u32 = 1;

/// Mailbox commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Command {
    /// The device reads a submission queue's context.
    Sqc = 0x0,
    /// The device reads a completion queue's context.
    Cqc = 0x1,
    /// The device reads the event queue's context.
    Eqc = 0x2,
    /// The device reads the abnormal event queue's context.
    Aeqc = 0x3,
    /// Where the submission queues' contexts lie.
    SqcTable = 0x4,
    /// Where the completion queues' contexts lie.
    CqcTable = 0x5,
    /// Which queues the function has.
    Vft = 0x6,
    /// Stops a queue.
    StopQueue = 0x8,
    /// Leaves a message for the PF.
    MessageSend = 0xc,
    /// Reads the PF's message.
    MessageFetch = 0xd,
}

/// Doorbell commands.
#[derive(Clone, Copy)]
pub enum Bell {
    /// A submission queue has new entries.
    Sq = 0,
    /// Completions have been taken.
    Cq = 1,
    /// Events have been taken.
    Eq = 2,
    /// Abnormal events have been taken.
    Aeq = 3,
}

const BUSY: u32 = 1 << 13;
const READ: u32 = 1 << 14;
const STATUS: u32 = 0xf << 9;
/// More than any command takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the mailbox is free; returns its first word.
pub fn mailbox_wait(registers: &Mapping) -> Result<u32> {
    let deadline = Deadline::after(TIMEOUT);
    loop {
        let word = registers.read32(MAILBOX);
        if word & BUSY == 0 {
            return Ok(word);
        }
        if deadline.is_over() {
            let limit = deadline.limit;
            bail!("the mailbox is still busy after {limit:?} (first word {word:#010x})");
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Starts a command and does not wait for its end.
pub fn mailbox_start(registers: &Mapping, word: u32, queue: u16, data: u64) {
    ffi::publish();
    let low = u64::from(word) | u64::from(queue) << 16 | data << 32;
    registers.write128(MAILBOX, low, data >> 32);
}

fn mailbox(registers: &Mapping, command: Command, read: u32, queue: u16, data: u64) -> Result<()> {
    mailbox_wait(registers)?;
    mailbox_start(registers, command as u32 | BUSY | read, queue, data);
    let word = mailbox_wait(registers)?;
    let status = (word & STATUS) >> 9;
    ensure!(
        status == 0,
        "mailbox command {command:?} of queue {queue}: status {status}"
    );
    Ok(())
}

/// A command that gives the device `data`.
pub fn mailbox_write(registers: &Mapping, command: Command, queue: u16, data: u64) -> Result<()> {
    mailbox(registers, command, 0, queue, data)
}

/// A command that asks the device for data.
pub fn mailbox_read(registers: &Mapping, command: Command, queue: u16) -> Result<u64> {
    mailbox(registers, command, READ, queue, 0)?;
    let low = registers.read32(MAILBOX + 4);
    let high = registers.read32(MAILBOX + 8);
    Ok(u64::from(low) | u64::from(high) << 32)
}

/// The first word of a mailbox write of `command`.
pub fn start_word(command: Command) -> u32 {
    command as u32 | BUSY
}

/// Rings a doorbell; `flag` is its priority bit, which arms a completion queue.
pub fn ring(registers: &Mapping, bell: Bell, queue: u16, index: u16, flag: bool) {
    let offset = match bell {
        Bell::Sq | Bell::Cq => SQ_CQ_DOORBELL,
        Bell::Eq | Bell::Aeq => EQ_AEQ_DOORBELL,
    };
    let word =
        u64::from(queue) | (bell as u64) << 12 | u64::from(index) << 32 | u64::from(flag) << 48;
    ffi::publish();
    registers.write64(offset, word);
}
