// SPDX-License-Identifier: GPL-2.0

//! `debug`: runs a command when written, and shows its outcome when read.
//!
//! Commands take the same arcs, under the same lock, as migrations by the user.

use super::access;
use crate::{
    command::{
        Command,
        Outcome, //
    },
    device::HisiAcc,
    mig::VfState, //
};
use kernel::{
    device::Bound,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    time::{
        Instant,
        Monotonic, //
    }, //
};
use vfio::{
    debugfs::File,
    device::Device,
    migration::{
        MachineGuard,
        State, //
    }, //
};

/// The file `debug`.
pub(crate) struct Debug;

/// Runs `command` on the open device `dev`. The device is in RUNNING or STOP, and `guard` holds its
/// lock.
fn run_command(
    command: Command,
    dev: &Device<HisiAcc, Bound>,
    guard: &mut MachineGuard<'_, VfState>,
) -> Result {
    let running = guard.state() == State::Running;
    let go = |guard: &mut MachineGuard<'_, VfState>, target| guard.go_to_state(dev.core(), target);
    let stop = |guard: &mut MachineGuard<'_, VfState>| -> Result {
        go(guard, State::Stop)?;
        guard.driver_mut().stopped_by_command |= running;
        Ok(())
    };

    match command {
        Command::IoTest => {
            let vf = guard.driver();
            let open = vf.open.as_ref().ok_or(ENODEV)?;
            let qm = open.qm.bind(dev.pdev())?;
            qm.check_mailbox()?;
            // The guest uses the mailbox, unless the device's user has stopped both.
            if running || vf.stopped_by_command {
                return Ok(());
            }
            let queues = qm.query_queues()?;
            if vf.config.is_none_or(|known| known.queues == queues) {
                Ok(())
            } else {
                Err(EIO)
            }
        }
        Command::Stop => stop(guard),
        Command::Start => go(guard, State::Running),
        Command::Save => {
            stop(guard)?;
            let saved = guard.driver_mut().save_snapshot(dev.core());
            if running {
                go(guard, State::Running)?;
            }
            saved
        }
        Command::Resume => {
            let verified = guard.driver().verify_last_session()?;
            stop(guard)?;
            guard.load_verified(dev.core(), verified)?;
            go(guard, State::Running)
        }
    }
}

/// Returns the name of an error that a command can return.
fn errno_name(error: Error) -> &'static str {
    let names = [
        (EIO, "EIO"),
        (ENOMEM, "ENOMEM"),
        (EBUSY, "EBUSY"),
        (ENODEV, "ENODEV"),
        (EINVAL, "EINVAL"),
        (ENODATA, "ENODATA"),
        (ETIMEDOUT, "ETIMEDOUT"),
    ];
    names
        .into_iter()
        .find(|(e, _)| *e == error)
        .map_or("other", |(_, name)| name)
}

/// Checks whether a command may run now. `in_reset` says whether the function or its PF is being
/// reset.
fn check_runnable(guard: &MachineGuard<'_, VfState>, in_reset: bool) -> Result {
    if guard.driver().open.is_none() {
        return Err(ENODEV);
    }
    match guard.state() {
        State::Running | State::Stop if !in_reset => Ok(()),
        State::Error => Err(EIO),
        _ => Err(EBUSY),
    }
}

#[vtable]
impl File for Debug {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"debug";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        let migratable = access::migratable(dev)?;
        match migratable.machine.with(|guard| guard.driver().outcome) {
            Some(outcome) => {
                seq_print!(m, "command: {}\n", outcome.command.name());
                seq_print!(
                    m,
                    "result: {}\n",
                    outcome.result.map_or_else(errno_name, |()| "OK")
                );
                seq_print!(m, "duration_us: {}\n", outcome.duration);
            }
            None => seq_print!(m, "command: none\n"),
        }
        seq_print!(m, "commands:");
        for command in Command::ALL.into_iter().filter(|c| c.offered()) {
            match command.number() {
                Some(number) => seq_print!(m, " {}/{}", number, command.name()),
                None => seq_print!(m, " {}", command.name()),
            }
        }
        seq_print!(m, "\n");
        Ok(())
    }

    fn write(dev: &Device<HisiAcc, Bound>, input: &[u8]) -> Result {
        let command = Command::parse(input)?;
        let migratable = access::migratable(dev)?;

        migratable.machine.with(|guard| {
            let start = Instant::<Monotonic>::now();
            let in_reset = access::in_reset(migratable, guard.driver());
            let result = check_runnable(guard, in_reset).and_then(|()| {
                let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
                run_command(command, dev, guard)
            });
            guard.driver_mut().outcome = Some(Outcome {
                command,
                result,
                duration: start.elapsed().as_micros_ceil(),
            });
            result
        })
    }
}
