// SPDX-License-Identifier: GPL-2.0

//! A device that has to go while a user has it open, in every state of a migration.
//!
//! The thread that takes it away waits. The user is notified, can still use the device, and takes
//! the time he needs; when he has closed it, all goes on. What he still holds of it is a data file
//! without a device.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{DataFile, Device, REQUEST, State};

use crate::expect::{equal, eventually, refused};
use crate::host;
use crate::modules;
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stuck_thread::{Fate, Task};

const PATIENCE: Duration = Duration::from_secs(60);
/// As much of a stream as is read or written before the device has to go.
const PART: usize = 39;

/// How the device is taken away. Linux does not allow removing a VF alone from the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The VF is unbound from its driver.
    Unbind,
    /// The PF's VFs are disabled.
    NoVfs,
    /// The PF is unbound from its driver, which takes its VFs with it.
    UnbindPf,
    /// The PF is removed from the bus, with its VFs.
    RemovePf,
}

impl Way {
    const ALL: [(Self, &'static str); 4] = [
        (Way::Unbind, "the VF is unbound"),
        (Way::NoVfs, "VFs are disabled"),
        (Way::UnbindPf, "the PF is unbound"),
        (Way::RemovePf, "the PF is removed"),
    ];

    fn go(self, pf: &Function, vf: &Function) -> Result<()> {
        match self {
            Way::Unbind => vf.unbind(),
            Way::NoVfs => sysfs::write(pf.path("sriov_numvfs"), "0"),
            Way::UnbindPf => pf.unbind(),
            Way::RemovePf => sysfs::write(pf.path("remove"), "1"),
        }
    }

    /// Makes the host what it was.
    fn back(self, fixture: &Fixture) -> Result<()> {
        match self {
            Way::Unbind | Way::NoVfs => {}
            Way::UnbindPf => fixture.host.pf.bind("hisi_zip")?,
            Way::RemovePf => {
                sysfs::write("/sys/bus/pci/rescan", "1")?;
                fixture.host.pf.bind("hisi_zip")?;
            }
        }
        if self != Way::Unbind {
            fixture.host.pf.enable_vfs(2, false)?;
        }
        fixture.bind()
    }
}

pub(super) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 2)?;
    for (way, name) in Way::ALL {
        for state in [
            State::Running,
            State::PreCopy,
            State::StopCopy,
            State::Resuming,
        ] {
            let done = report.point(&format!("{name} in {state}"), || {
                leave(&mut fixture, way, state)?;
                way.back(&fixture).context("making it as it was")?;
                fixture.migrates().context("afterwards")
            });
            ensure!(done, "the host is not what it was");
        }
    }
    report.point("nobody is told, and nobody is lost", || {
        untold(&mut fixture)
    });
    report.point("nothing holds the driver", || {
        fixture.host.vfs.iter().try_for_each(Function::unbind)?;
        modules::unload(host::module_of(fixture.host.driver))
    });
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}

/// Brings the device to `state`, where a session is under way.
fn go_to(device: &Device, state: State, stream: &[u8]) -> Result<Option<DataFile>> {
    if state == State::Running {
        return Ok(None);
    }
    let file = device.set_state_with_file(state)?;
    let part = if state == State::Resuming {
        file.write(&stream[..PART])?
    } else {
        file.read(&mut [0; PART])?
    };
    equal("part of the stream", part, PART)?;
    Ok(Some(file))
}

/// The session goes on although the device is wanted.
fn go_on(file: &DataFile, state: State, stream: &[u8]) -> Result<()> {
    if state == State::Resuming {
        let rest = file.write(&stream[PART..]).context("writing on")?;
        equal("rest that is written", rest, stream.len() - PART)
    } else {
        let rest = file.read_available(4096).context("reading on")?;
        let length = match state {
            State::PreCopy => 40,
            _ => stream.len(),
        };
        equal("rest that is read", rest.len(), length - PART)
    }
}

/// Takes VF1 away from a user who has brought it to `state`.
fn leave(fixture: &mut Fixture, way: Way, state: State) -> Result<()> {
    let stream = fixture.full_stream()?;
    fixture.work()?;
    let device = fixture.vm.device()?;
    let request = device.signal_of(REQUEST)?;
    let file = go_to(device, state, &stream)?;
    ensure!(!request.take()?, "the device is wanted too early");

    let (pf, vf) = (fixture.host.pf.clone(), fixture.host.vfs[0].clone());
    let task = Task::start(move || way.go(&pf, &vf))?;
    eventually("the user is told", PATIENCE, || {
        waits(&task)?;
        request.take()
    })?;
    debug_files_go(fixture)?;
    match &file {
        Some(file) => go_on(file, state, &stream)?,
        None => {
            fixture.vm.work(8)?;
        }
    }
    waits(&task)?;
    fixture.close()?;
    ends(&task)?;
    match file {
        Some(file) if state == State::Resuming => {
            refused("writing without a device", file.write(&[0]), Errno::NODEV)
        }
        Some(file) => refused(
            "reading without a device",
            file.read(&mut [0]),
            Errno::NODEV,
        ),
        None => Ok(()),
    }
}

/// The debugfs files go first, and do not wait for the user.
fn debug_files_go(fixture: &Fixture) -> Result<()> {
    let folder = debugfs::device(fixture.host.vfs[0].name());
    eventually(
        "the debug files are gone",
        PATIENCE,
        || Ok(!folder.exists()),
    )
}

/// The thread that takes the device away waits for the user.
fn waits(task: &Task<Result<()>>) -> Result<()> {
    match task.wait(Duration::ZERO, |_| false) {
        Fate::Done(result) => bail!("the user was not waited for: {result:?}"),
        Fate::Killed => bail!("the kernel killed who takes the device away"),
        Fate::StuckInKernel => Ok(()),
    }
}

/// The thread that takes the device away has done so.
fn ends(task: &Task<Result<()>>) -> Result<()> {
    match task.wait(PATIENCE, |_| false) {
        Fate::Done(result) => result.context("taking the device away"),
        Fate::Killed => bail!("the kernel killed who takes the device away"),
        Fate::StuckInKernel => bail!("who takes the device away still waits"),
    }
}

/// The user has no ear for it: the device stays until he closes it for reasons of his own.
fn untold(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let vf = fixture.host.vfs[0].clone();
    let task = Task::start(move || vf.unbind())?;
    debug_files_go(fixture)?;
    fixture.vm.work(8)?;
    waits(&task)?;
    fixture.close()?;
    ends(&task)?;
    fixture.bind()?;
    fixture.migrates()
}
