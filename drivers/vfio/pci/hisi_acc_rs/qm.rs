// SPDX-License-Identifier: GPL-2.0

//! What is done to a function's queue manager: stop and start here, save and load in `image`. No
//! locks, no states.

mod image;

use crate::{
    engine::Engine,
    ffi::{
        Command,
        PfQm,
        VfQm, //
    },
    regs::{
        function::{
            CACHE_WB_DONE,
            CACHE_WB_START,
            DOORBELL,
            IFC_INT_SET,
            IFC_INT_STATUS,
            MAILBOX,
            VF_STATE, //
        },
        pf, //
    },
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
    },
    time::Delta, //
};

/// How often a bit that the hardware is about to set is looked at, and for how long.
const BIT_INTERVAL: Delta = Delta::from_micros(10);
const BIT_PATIENCE: Delta = Delta::from_millis(1);
/// The same for an interrupt that somebody has to take.
const IRQ_INTERVAL: Delta = Delta::from_micros(100);
const IRQ_PATIENCE: Delta = Delta::from_millis(10);

/// What the hardware answers where there is none.
const ALL_ONES: u32 = !0;

/// The queue pairs that a function owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queues {
    /// The first one, in the PF's count.
    pub(crate) base: u16,
    /// How many, 1 to 1024.
    pub(crate) count: u16,
}

impl Queues {
    /// Decodes an entry of the table of queues: bits 28 to 43 the first, bits 45 to 54 the
    /// number less one.
    pub(crate) fn from_vft(entry: u64) -> Self {
        // CAST: 16 and 10 bits.
        Self {
            base: (entry >> 28) as u16,
            count: ((entry >> 45) & 0x3ff) as u16 + 1,
        }
    }
}

/// Why a function could not be paused.
pub(crate) enum PauseError {
    /// It runs as before.
    Runs(Error),
    /// The command was given and never finished: nobody knows.
    Unknown(Error),
}

/// A function that was paused. It runs again when this is dropped, unless it is committed.
///
/// What is started starts from its contexts in memory, so they are written back first.
#[must_use = "the function runs again when this is dropped"]
pub(crate) struct PausedQm<'a> {
    vf: &'a VfQm,
    queues: Queues,
    committed: bool,
}

impl PausedQm<'_> {
    /// The function stays paused.
    pub(crate) fn commit(mut self) {
        self.committed = true;
    }

    /// Lets the function run again.
    ///
    /// # Errors
    ///
    /// [`ETIMEDOUT`] if its contexts cannot be written back. It stays paused then: what it would
    /// start from is not what it had.
    pub(crate) fn resume(mut self) -> Result {
        self.committed = true;
        self.vf.restart_paused(self.queues)
    }
}

impl Drop for PausedQm<'_> {
    fn drop(&mut self) {
        if !self.committed && self.vf.restart_paused(self.queues).is_err() {
            pr_err!("a paused function could not be started again\n");
        }
    }
}

impl PfQm {
    /// What the PF's engine has to say of errors, 0 if nothing.
    pub(crate) fn core_int_status(&self, engine: Engine) -> u32 {
        let io = self.io();
        match engine {
            Engine::Zip => io.read(pf::ZIP_CORE_INT_STATUS).into_raw(),
            Engine::Sec => io.read(pf::SEC_CORE_INT_STATUS).into_raw(),
            Engine::Hpre => io.read(pf::HPRE_HAC_INT_STATUS).into_raw(),
        }
    }
}

impl VfQm {
    /// Whether the guest's driver has set the function up.
    pub(crate) fn driver_ready(&self) -> bool {
        !self.hal().function().read(VF_STATE).not_ready()
    }

    /// Pauses the function: no requests are fetched, and those in flight finish.
    pub(crate) fn pause(&self, queues: Queues) -> Result<PausedQm<'_>, PauseError> {
        match self.mailbox(Command::Pause, 0) {
            Ok(()) => Ok(PausedQm {
                vf: self,
                queues,
                committed: false,
            }),
            Err(e) => Err(self.pause_error(e)),
        }
    }

    /// What has become of a command to pause that failed with `e`.
    fn pause_error(&self, e: Error) -> PauseError {
        let last = self.hal().function().read(MAILBOX).command();
        // A timeout can also be that of waiting for another's command, before this was given.
        if e == ETIMEDOUT && last.get() == Command::Pause as u32 {
            PauseError::Unknown(e)
        } else {
            PauseError::Runs(e)
        }
    }

    /// Waits until a paused function is quiet, and has its queue contexts written to memory.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the PF, the engine or a message between PF and VF wants attention,
    /// [`ETIMEDOUT`] if the write-back does not end.
    pub(crate) fn settle(&self, pf: &PfQm, engine: Engine) -> Result {
        let io = self.hal().function();
        let pf_io = pf.io();

        quiet(|| pf_io.read(pf::ABNORMAL_INT_STATUS).into_raw())?;
        quiet(|| io.read(IFC_INT_STATUS).into_raw())?;
        quiet(|| self.messages_to_pf())?;
        quiet(|| pf.core_int_status(engine))?;
        self.write_back()
    }

    /// Messages to the PF that it has not taken yet, as [`IFC_INT_SET`] has them.
    pub(crate) fn messages_to_pf(&self) -> u32 {
        self.hal().function().read(IFC_INT_SET).into_raw()
    }

    /// Has the queue contexts written to memory.
    fn write_back(&self) -> Result {
        let io = self.hal().function();
        io.write_reg(CACHE_WB_START::zeroed().with_start(true));
        wait_until(
            || io.relaxed().read(CACHE_WB_DONE).done(),
            BIT_INTERVAL,
            BIT_PATIENCE,
        )
    }

    /// Starts a function whose queue contexts may not be in memory yet.
    fn restart_paused(&self, queues: Queues) -> Result {
        if self.driver_ready() {
            self.write_back()?;
            self.start(queues)?;
        }
        Ok(())
    }

    /// Starts a stopped function, which the guest's driver must have set up: every queue goes on
    /// from its context in memory.
    ///
    /// Messages from the PF are left alone: one may have come in the meantime. A function that
    /// was loaded has been opened for them by then.
    pub(crate) fn start(&self, queues: Queues) -> Result {
        let io = self.hal().function().relaxed();
        // One for all: what the device will read was written before, and the doorbells need no
        // order among themselves.
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

    /// Whether the mailbox can be read, without giving a command.
    ///
    /// # Errors
    ///
    /// [`EIO`] if nothing answers, or if the last command failed.
    pub(crate) fn mailbox_answers(&self) -> Result {
        answer(self.hal().function().read(MAILBOX))
    }

    /// Whether the mailbox can be read and takes a command, without giving one.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::mailbox_answers`], and [`EBUSY`] if a command does not end.
    pub(crate) fn mailbox_ready(&self) -> Result {
        let io = self.hal().function();
        let mailbox = read_poll_timeout(
            || Ok(io.read(MAILBOX)),
            |mailbox| !mailbox.busy() || mailbox.into_raw() == ALL_ONES,
            BIT_INTERVAL,
            BIT_PATIENCE,
        )
        .map_err(|_| EBUSY)?;
        answer(mailbox)
    }

    /// Asks a function whose mailbox nobody else uses for its queues.
    ///
    /// The PF's table of them has the same answer, but an access to it takes several registers
    /// that all functions and the PF's driver share.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::mailbox_read`].
    pub(crate) fn queues(&self) -> Result<Queues> {
        Ok(Queues::from_vft(self.mailbox_read(Command::Vft)?))
    }
}

/// What the first word of a mailbox says of the last command.
fn answer(mailbox: MAILBOX) -> Result {
    if mailbox.into_raw() == ALL_ONES || (!mailbox.busy() && mailbox.status().get() != 0) {
        Err(EIO)
    } else {
        Ok(())
    }
}

/// Waits until a status is 0.
fn quiet(mut status: impl FnMut() -> u32) -> Result {
    wait_until(|| status() == 0, IRQ_INTERVAL, IRQ_PATIENCE).map_err(|_| EBUSY)
}

/// Waits until `done`, looking every `interval`. Mostly there is nothing to wait for, and no
/// clock to be read.
///
/// # Errors
///
/// [`ETIMEDOUT`] if that takes longer than `patience`.
fn wait_until(mut done: impl FnMut() -> bool, interval: Delta, patience: Delta) -> Result {
    if done() {
        return Ok(());
    }
    read_poll_timeout(|| Ok(done()), |done| *done, interval, patience).map(drop)
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_qm)]
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
        assert_eq!(answer(MAILBOX::from_raw(0x000e)), Ok(()));
        assert_eq!(answer(MAILBOX::from_raw(0x060e)), Err(EIO));
        // The status of a command under way is not its own.
        assert_eq!(answer(MAILBOX::from_raw(0x260e)), Ok(()));
        assert_eq!(answer(MAILBOX::from_raw(ALL_ONES)), Err(EIO));
    }

    #[test]
    fn number_of_queues_is_bounded() {
        assert_eq!(Queues::from_vft(0).count, 1);
        assert_eq!(Queues::from_vft(u64::MAX).count, 1024);
    }
}
