// SPDX-License-Identifier: GPL-2.0

//! Commands of the debugfs file `debug`, which runs them.

use kernel::prelude::*;

/// A command of the debugfs file `debug`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Takes a snapshot; a running device is stopped before and restarted after it.
    Save,
    /// Loads the snapshot back and starts the device.
    Resume,
    /// Checks whether the mailbox works.
    IoTest,
    /// Stops the device.
    Stop,
    /// Starts the device.
    Start,
}

impl Command {
    /// All commands, in the order in which the file lists them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Save,
        Self::Resume,
        Self::IoTest,
        Self::Stop,
        Self::Start,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Resume => "resume",
            Self::IoTest => "io_test",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    /// Returns the number that is accepted instead of the name.
    pub(crate) const fn number(self) -> Option<&'static str> {
        match self {
            Self::Save => Some("0"),
            Self::Resume => Some("1"),
            Self::IoTest => Some("2"),
            Self::Stop | Self::Start => None,
        }
    }

    /// Returns whether the command is available. Those that change the device depend on a Kconfig
    /// option.
    pub(crate) const fn offered(self) -> bool {
        matches!(self, Self::IoTest) || cfg!(CONFIG_HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS)
    }

    /// Returns the command that `input` names.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if no command has that name, [`EPERM`] if the command is not available.
    pub(crate) fn parse(input: &[u8]) -> Result<Self> {
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
}

/// Outcome of a command.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) command: Command,
    pub(crate) result: Result,
    /// In microseconds.
    pub(crate) duration: i64,
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_command)]
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
