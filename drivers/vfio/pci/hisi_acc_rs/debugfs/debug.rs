// SPDX-License-Identifier: GPL-2.0

//! `debug`: takes a command, tells its outcome.
//!
//! Commands walk the same arcs under the same lock as the user's migrations do.

use crate::{
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

/// The file.
pub(crate) struct Debug;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Takes a snapshot; a running device is stopped for it and started again.
    Save,
    /// Loads the snapshot back and starts the device.
    Resume,
    /// Looks whether the mailbox works.
    IoTest,
    /// Stops the device.
    Stop,
    /// Starts the device.
    Start,
}

impl Command {
    /// All commands, in the order in which they are listed.
    const ALL: [Self; 5] = [
        Self::Save,
        Self::Resume,
        Self::IoTest,
        Self::Stop,
        Self::Start,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Resume => "resume",
            Self::IoTest => "io_test",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    /// The number that can stand for the name.
    const fn number(self) -> Option<&'static str> {
        match self {
            Self::Save => Some("0"),
            Self::Resume => Some("1"),
            Self::IoTest => Some("2"),
            Self::Stop | Self::Start => None,
        }
    }

    /// Whether the command is there; those that change the device are a choice of their own.
    const fn offered(self) -> bool {
        matches!(self, Self::IoTest) || cfg!(CONFIG_HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS)
    }

    /// The command that `input` names.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if there is none of that name, [`EPERM`] if it is not offered.
    fn parse(input: &[u8]) -> Result<Self> {
        let word = input.trim_ascii();
        let named = |command: &Self| {
            command.name().as_bytes() == word
                || command.number().is_some_and(|n| n.as_bytes() == word)
        };
        let command = Self::ALL.into_iter().find(named).ok_or(EINVAL)?;
        if command.offered() {
            Ok(command)
        } else {
            Err(EPERM)
        }
    }

    /// Runs the command on the open device `dev` in RUNNING or STOP, which `vf` owns.
    fn run(self, dev: &Device<HisiAcc, Bound>, vf: &mut MachineGuard<'_, VfState>) -> Result {
        let running = vf.state() == State::Running;
        let go = |vf: &mut MachineGuard<'_, VfState>, target| vf.go(dev.core(), target);

        match self {
            Self::IoTest => {
                let open = vf.open.as_ref().ok_or(ENODEV)?;
                let queue_manager = open.vf.access(dev.pdev())?;
                queue_manager.mailbox_answers()?;
                // The mailbox is the guest's, unless the device's user has stopped both.
                if running || vf.stopped_by_command {
                    return Ok(());
                }
                let queues = queue_manager.queues()?;
                if vf.identity.is_none_or(|known| known.queues == queues) {
                    Ok(())
                } else {
                    Err(EIO)
                }
            }
            Self::Stop => {
                go(vf, State::Stop)?;
                vf.stopped_by_command |= running;
                Ok(())
            }
            Self::Start => go(vf, State::Running),
            Self::Save => {
                go(vf, State::Stop)?;
                vf.stopped_by_command |= running;
                let saved = vf.snapshot(dev.core());
                if running {
                    go(vf, State::Running)?;
                }
                saved
            }
            Self::Resume => {
                let verified = vf.last_verified()?;
                go(vf, State::Stop)?;
                vf.stopped_by_command |= running;
                vf.load(dev.core(), verified)?;
                go(vf, State::Running)
            }
        }
    }
}

/// How a command went.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    command: Command,
    result: Result,
    /// In microseconds.
    duration: i64,
}

/// Name of an error that a command can have.
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

/// Whether a command may run now. `in_reset`: the function or its PF is being reset.
fn admit(vf: &MachineGuard<'_, VfState>, in_reset: bool) -> Result {
    if vf.open.is_none() {
        return Err(ENODEV);
    }
    match vf.state() {
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
        let mig = dev.mig().ok_or(ENODEV)?;
        match mig.machine.with(|vf| vf.outcome) {
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
        let mig = dev.mig().ok_or(ENODEV)?;

        mig.machine.with(|vf| {
            let start = Instant::<Monotonic>::now();
            let result =
                admit(vf, mig.machine.in_reset() || vf.hw.pf.is_stopped()).and_then(|()| {
                    let _awake = dev.core().runtime_pm_get_if_active().ok_or(EBUSY)?;
                    command.run(dev, vf)
                });
            vf.outcome = Some(Outcome {
                command,
                result,
                duration: start.elapsed().as_micros_ceil(),
            });
            result
        })
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_debug)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_by_name_and_by_number() {
        assert_eq!(Command::parse(b"io_test"), Ok(Command::IoTest));
        assert_eq!(Command::parse(b"2\n"), Ok(Command::IoTest));
        let save = if Command::Save.offered() {
            Ok(Command::Save)
        } else {
            Err(EPERM)
        };
        assert_eq!(Command::parse(b"save\n"), save);
        assert_eq!(Command::parse(b" 0 "), save);
    }

    #[test]
    fn anything_else_is_no_command() {
        for input in [
            b"".as_slice(),
            b"\n",
            b"3",
            b"00",
            b"saves",
            b"SAVE",
            b"save stop",
            b"\xff",
        ] {
            assert_eq!(Command::parse(input), Err(EINVAL));
        }
    }
}
