// SPDX-License-Identifier: GPL-2.0

//! Everything that userspace can do, one step at a time.

use super::observation::Observation;
use super::stream::Stream;

/// One of the data files that the device has given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Newest,
    /// The one before, whose session is over.
    Older,
}

/// How a function is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reset {
    /// `VFIO_DEVICE_RESET`.
    Ioctl,
    /// A write to `reset` in sysfs.
    Sysfs,
    /// By the function's capability, as a VM does it.
    Config,
}

/// A fault of the model, as `Documentation/accel-model.rst` describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    None,
    /// Of one command, or of all.
    MailboxTimeout(Option<&'static str>),
    MailboxStatus(u8, Option<&'static str>),
    WriteBackNever,
    VfBusy,
    TableNever,
    Abnormal(u32),
    /// A register of the VF keeps this value, or the one it has.
    Stuck(&'static str, Option<u32>),
    /// The error bits of the PF's engine are stuck at these.
    Core(u32),
}

impl Fault {
    /// As the model's property takes it. The VF is the first of its PF.
    pub(super) fn text(self) -> String {
        let at = |command: Option<&str>| command.map_or(String::new(), |name| format!("@{name}"));
        match self {
            Fault::None => String::new(),
            Fault::MailboxTimeout(command) => format!("fn1:mailbox-timeout{}", at(command)),
            Fault::MailboxStatus(status, command) => {
                format!("fn1:mailbox-status={status}{}", at(command))
            }
            Fault::WriteBackNever => "fn1:wb-never".into(),
            Fault::VfBusy => "fn1:vf-busy".into(),
            Fault::TableNever => "vft-never".into(),
            Fault::Abnormal(bits) => format!("abnormal={bits}"),
            Fault::Stuck(register, None) => format!("fn1:stuck@{register}"),
            Fault::Stuck(register, Some(value)) => format!("fn1:stuck={value}@{register}"),
            Fault::Core(bits) => format!("stuck={bits}@core-int-status"),
        }
    }

    /// The register that is stuck at a value, if it is among those that are looked at, and that
    /// value.
    pub(super) fn stuck_in(self, seen: &Observation) -> Option<(u32, u32)> {
        let Fault::Stuck(name, Some(value)) = self else {
            return None;
        };
        let register = seen.register(&name.replace('-', "_").to_uppercase())?;
        Some((register, value))
    }

    /// Whether the device reports an error that is not the function's.
    pub(super) fn is_error_of_the_device(self) -> bool {
        matches!(self, Fault::Abnormal(_) | Fault::Core(_))
    }

    /// Whether commands of this name fail, or those of the driver at all.
    pub(super) fn fails(self, command: &str) -> bool {
        match self {
            Fault::MailboxTimeout(which) | Fault::MailboxStatus(_, which) => {
                which.is_none_or(|name| name == command)
            }
            Fault::Abnormal(_) | Fault::Core(_) => true,
            _ => false,
        }
    }
}

/// A debug file that both drivers have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DebugFile {
    State,
    Features,
    DevData,
    MigfData,
    CmdState,
}

impl DebugFile {
    pub(super) fn path(self) -> &'static str {
        match self {
            DebugFile::State => "migration/state",
            DebugFile::Features => "migration/features",
            DebugFile::DevData => "migration/hisi_acc/dev_data",
            DebugFile::MigfData => "migration/hisi_acc/migf_data",
            DebugFile::CmdState => "migration/hisi_acc/cmd_state",
        }
    }
}

/// The debug files that only our driver has: nothing to compare, and nothing may change by them.
pub(super) const OUR_FILES: [&str; 4] = ["attr", "data", "debug", "match"];

/// One thing that userspace does. What cannot be done at the moment, such as reading from a file
/// that is not there, is done by neither side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Open,
    Close,
    /// Closes all, takes the driver away from the function and gives it back.
    Rebind,
    /// The VM's driver sets the function up.
    BringUp,
    /// The VM's driver goes.
    ShutDown,
    /// The VM has the function do some requests.
    Work,
    SetState(u32),
    Features,
    DataSize,
    /// `VFIO_DEVICE_FEATURE` with a payload of eight bytes.
    Feature {
        flags: u32,
        argsz: u32,
    },
    Read(Which, usize),
    ReadToNowhere(Which, usize),
    Write {
        which: Which,
        stream: Stream,
        from: usize,
        length: usize,
    },
    WriteFromNowhere(Which, usize),
    /// A read and a write at a position.
    Positional(Which),
    Seek(Which),
    PrecopyInfo {
        which: Which,
        argsz: u32,
        flags: u32,
    },
    UnknownRequest(Which),
    /// What `poll()` says, and then a read of nothing.
    Poll(Which),
    CloseFile,
    RegionInfo {
        index: u32,
        argsz: u32,
    },
    IrqInfo {
        index: u32,
        argsz: u32,
    },
    DeviceInfo {
        argsz: u32,
    },
    ReadRegion {
        offset: u64,
        length: usize,
    },
    WriteRegion {
        offset: u64,
        length: usize,
        value: u64,
    },
    Map {
        offset: u64,
        length: usize,
    },
    IoEventFd {
        offset: u64,
    },
    SeekDevice,
    Reset(Reset),
    /// The PF is reset. It notifies its VFs before and after.
    ResetPf,
    Fault(Fault),
    Debug(DebugFile),
    DebugOurs(&'static str),
    /// The tables of queues that the function has, asked for as its VM would.
    Tables,
}
