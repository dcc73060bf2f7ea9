// SPDX-License-Identifier: GPL-2.0

//! The queue manager of a VF: pausing and restarting a function. This file has no locks and no
//! states.

mod ffi;

pub(crate) use self::ffi::{
    BoundVfQm,
    MailboxCommand,
    VfQm, //
};

use super::{
    poll::{
        wait_until,
        wait_until_zero,
        ALL_ONES,
        BIT_INTERVAL,
        BIT_PATIENCE, //
    },
    registers::EventHeads, //
};
use crate::regs::{
    function::{
        CACHE_WB_DONE,
        CACHE_WB_START,
        DOORBELL,
        IFC_INT_MASK,
        IFC_INT_SET,
        IFC_INT_STATUS,
        MAILBOX,
        VF_STATE, //
    },
    vf_bar::EVENT_DOORBELL, //
};
use kernel::{
    io::{
        poll::read_poll_timeout,
        Io, //
    },
    num::Bounded,
    prelude::*,
    sync::barrier::{
        dma_mb,
        Write, //
    }, //
};

/// The queue pairs that a function owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queues {
    /// The first queue pair, as numbered by the PF.
    pub(crate) base: u16,
    /// Number of queue pairs, 1 to 1024.
    pub(crate) count: u16,
}

impl Queues {
    /// Decodes an entry of the table of queues: bits 28 to 43 are the first queue pair, bits 45 to
    /// 54 are the number of queue pairs minus one.
    pub(crate) fn from_vft(entry: u64) -> Self {
        // CAST: The fields have 16 and 10 bits.
        Self {
            base: (entry >> 28) as u16,
            count: ((entry >> 45) & 0x3ff) as u16 + 1,
        }
    }
}

/// The state of a function that could not be paused.
pub(crate) enum PauseError {
    /// It still runs.
    Runs(Error),
    /// Unknown: the command was given and did not finish.
    Unknown(Error),
}

/// The reason why a paused function did not become idle.
pub(crate) enum IdleError {
    /// The device is busy. The function can run again.
    Busy(Error),
    /// The PF's driver is about to reset the PF.
    ResetDue(Error),
}

/// A paused function. It is restarted when this is dropped, unless it is kept paused.
///
/// A function restarts from its contexts in memory, so these are written back first.
#[must_use = "the function runs again when this is dropped"]
pub(crate) struct PausedQm<'a> {
    vf: BoundVfQm<'a>,
    queues: Queues,
    stays_paused: bool,
}

impl PausedQm<'_> {
    /// Keeps the function paused.
    pub(crate) fn keep_paused(mut self) {
        self.stays_paused = true;
    }

    /// Restarts the function. The device must not have reported an error.
    ///
    /// # Errors
    ///
    /// [`ETIMEDOUT`] if the contexts cannot be written back. The function then stays paused, since
    /// the contexts in memory are not the current ones.
    pub(crate) fn resume(mut self) -> Result {
        self.stays_paused = true;
        self.vf.write_back_and_restart(self.queues)
    }
}

impl Drop for PausedQm<'_> {
    fn drop(&mut self) {
        if !self.stays_paused && self.vf.write_back_and_restart(self.queues).is_err() {
            pr_err!("a paused function could not be started again\n");
        }
    }
}

impl<'a> BoundVfQm<'a> {
    /// Returns whether the guest's driver has set the function up, according to `VF_STATE`.
    pub(crate) fn driver_ready(&self) -> bool {
        !self.registers().function_block().read(VF_STATE).not_ready()
    }

    /// Pauses the function: it stops fetching requests and finishes those in flight.
    pub(crate) fn pause(&self, queues: Queues) -> Result<PausedQm<'a>, PauseError> {
        match self.mailbox_write(MailboxCommand::Pause, 0) {
            Ok(()) => Ok(PausedQm {
                vf: *self,
                queues,
                stays_paused: false,
            }),
            Err(e) => Err(self.pause_error(e)),
        }
    }

    /// Returns the state of the function after the command to pause it has failed with `e`.
    fn pause_error(&self, e: Error) -> PauseError {
        let last = self.registers().function_block().read(MAILBOX).command();
        // The timeout may have occurred while waiting for an earlier command, before this one was
        // given.
        if e == ETIMEDOUT && last.get() == MailboxCommand::Pause as u32 {
            PauseError::Unknown(e)
        } else {
            PauseError::Runs(e)
        }
    }

    /// Waits until a paused function is idle, and writes its queue contexts to memory.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the PF or the engine reports an error, or if a message between PF and VF is
    /// pending; [`ETIMEDOUT`] if the write-back does not end.
    pub(crate) fn wait_until_idle(&self) -> Result<(), IdleError> {
        self.try_wait_until_idle().map_err(|e| {
            let link = self.pf_link();
            if link.pf.reset_is_due(link.engine) {
                IdleError::ResetDue(e)
            } else {
                IdleError::Busy(e)
            }
        })
    }

    fn try_wait_until_idle(&self) -> Result {
        let io = self.registers().function_block();
        let link = self.pf_link();

        link.pf.wait_for_no_error()?;
        wait_until_zero(|| io.read(IFC_INT_STATUS).into_raw())?;
        self.wait_for_messages_to_pf()?;
        wait_until_zero(|| link.pf.core_int_status(link.engine))?;
        self.write_back()
    }

    /// Waits until the PF has taken all messages of the function.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if it takes them too late, see [`wait_until_zero`].
    pub(crate) fn wait_for_messages_to_pf(&self) -> Result {
        wait_until_zero(|| self.messages_to_pf())
    }

    /// Returns the messages that the PF has not taken yet, as bits of `IFC_INT_SET`.
    pub(crate) fn messages_to_pf(&self) -> u32 {
        self.registers()
            .function_block()
            .read(IFC_INT_SET)
            .into_raw()
    }

    /// Writes the queue contexts to memory.
    fn write_back(&self) -> Result {
        let io = self.registers().function_block();
        io.write_reg(CACHE_WB_START::zeroed().with_start(true));
        wait_until(
            || io.relaxed().read(CACHE_WB_DONE).done(),
            BIT_INTERVAL,
            BIT_PATIENCE,
        )
    }

    /// Returns whether the guest's driver has set the function up and its queues still exist.
    ///
    /// `VF_STATE` alone is not sufficient: it is not known whether a reset changes it on all
    /// hardware, and ringing a doorbell of a function without queues is an error of the whole
    /// device.
    pub(crate) fn is_set_up(&self) -> bool {
        self.driver_ready() && self.registers().eq_address() != 0
    }

    /// Restarts a function that [`BoundVfQm::pause`] has paused and whose queue contexts may not be
    /// in memory yet. Does nothing if the function is not set up.
    fn write_back_and_restart(&self, queues: Queues) -> Result {
        if self.is_set_up() {
            self.write_back()?;
            self.restart(queues)?;
        }
        Ok(())
    }

    /// Restarts a stopped function that is set up and that no state was loaded into.
    pub(crate) fn restart(&self, queues: Queues) -> Result {
        let heads = self.registers().event_heads();
        self.enable_messages();
        self.restart_queues(queues)?;
        self.ring_event_queues(heads)
    }

    /// Restarts the queues of a stopped function, which must be set up. Each queue continues from
    /// its context in memory.
    pub(crate) fn restart_queues(&self, queues: Queues) -> Result {
        let io = self.registers().function_block().relaxed();
        // One barrier is enough: everything that the device will read was written before, and the
        // order of the doorbells does not matter.
        dma_mb(Write);
        for queue in 0..queues.count {
            let queue = Bounded::<u64, 11>::from_expr(u64::from(queue) & 0x7ff);
            io.try_write_reg(
                DOORBELL::zeroed()
                    .with_queue(queue)
                    .with_const_priority::<1>(),
            )?;
        }
        Ok(())
    }

    /// Enables messages from the PF.
    ///
    /// The C driver clears a pending message as well. This driver does not, because the PF waits
    /// for the answer to it.
    pub(crate) fn enable_messages(&self) {
        self.registers()
            .function_block()
            .write_reg(IFC_INT_MASK::zeroed());
    }

    /// Rings the doorbells of both event queues with their `heads`: the device checks again for
    /// events that the guest's driver has not handled, and raises the interrupt.
    ///
    /// The window of hardware V4 has no such doorbell, so the one in the VF's own BAR is used.
    pub(crate) fn ring_event_queues(&self, heads: EventHeads) -> Result {
        let io = self.bar();
        let bell = EVENT_DOORBELL::zeroed();
        io.try_write_reg(
            bell.with_const_command::<2>()
                .with_index(Bounded::<u64, 16>::from_expr(u64::from(heads.eq))),
        )?;
        io.try_write_reg(
            bell.with_const_command::<3>()
                .with_index(Bounded::<u64, 16>::from_expr(u64::from(heads.aeq))),
        )
    }

    /// Checks that the mailbox can be read, without giving a command.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the device is gone, or if the last command has failed.
    pub(crate) fn check_mailbox(&self) -> Result {
        mailbox_result(self.registers().function_block().read(MAILBOX))
    }

    /// Waits until the mailbox can take a command, without giving one.
    ///
    /// # Errors
    ///
    /// Those of [`BoundVfQm::check_mailbox`], and [`EBUSY`] if the current command does not end.
    pub(crate) fn wait_for_mailbox(&self) -> Result {
        let io = self.registers().function_block();
        let mailbox = read_poll_timeout(
            || Ok(io.read(MAILBOX)),
            |mailbox| !mailbox.busy() || mailbox.into_raw() == ALL_ONES,
            BIT_INTERVAL,
            BIT_PATIENCE,
        )
        .map_err(|_| EBUSY)?;
        mailbox_result(mailbox)
    }

    /// Reads the queues of a function whose mailbox is not used concurrently.
    ///
    /// The PF has the same information in a table, but reading it takes several registers that all
    /// functions and the PF's driver share.
    ///
    /// # Errors
    ///
    /// Those of [`BoundVfQm::mailbox_read`].
    pub(crate) fn query_queues(&self) -> Result<Queues> {
        Ok(Queues::from_vft(self.mailbox_read(MailboxCommand::Vft)?))
    }
}

/// Returns the result of the last command, from the first word of the mailbox.
fn mailbox_result(mailbox: MAILBOX) -> Result {
    if mailbox.into_raw() == ALL_ONES || (!mailbox.busy() && mailbox.status().get() != 0) {
        Err(EIO)
    } else {
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_qm)]
mod tests {
    use super::*;

    #[test]
    fn table_entry_names_first_queue_and_number() {
        let entry = 64 << 28 | 1 << 44 | 31 << 45;
        assert_eq!(
            Queues::from_vft(entry),
            Queues {
                base: 64,
                count: 32
            }
        );
    }

    #[test]
    fn mailbox_fails_by_status_and_where_nothing_answers() {
        assert_eq!(mailbox_result(MAILBOX::from_raw(0x000e)), Ok(()));
        assert_eq!(mailbox_result(MAILBOX::from_raw(0x060e)), Err(EIO));
        // The status is not valid while the command is in progress.
        assert_eq!(mailbox_result(MAILBOX::from_raw(0x260e)), Ok(()));
        assert_eq!(mailbox_result(MAILBOX::from_raw(ALL_ONES)), Err(EIO));
    }

    #[test]
    fn number_of_queues_is_bounded() {
        assert_eq!(Queues::from_vft(0).count, 1);
        assert_eq!(Queues::from_vft(u64::MAX).count, 1024);
    }
}
