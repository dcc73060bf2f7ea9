// SPDX-License-Identifier: GPL-2.0

//! A sweep: each thing that userspace asks of a migration driver is done again and again, and each
//! time another allocation fails that is made for it, or another access to user memory, until none
//! is left that could. It must fail by an errno or succeed all the same, and nothing may come of it
//! later.
//!
//! The C driver goes through it for comparison: what it gets wrong is reported, and is no failure
//! here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use protocol::Setup;
use rustix::io::Errno;

use crate::expect::{self, equal};
use crate::fail_nth::Faults;
use crate::host;
use crate::modules;
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stream_layout::STREAM_SIZE;

/// A function of the kernel that goes wrong whatever driver is bound: where it fails after its
/// allocation, it puts a group that still has its IOMMU group, and vfio_group_release() warns of
/// that; where devtmpfs fails, the group has no file (drivers/vfio/group.c).
const FAULTY: (&str, &str) = ("vfio", "vfio_create_group");

/// More faults than any of this can meet.
const TOO_MANY: u64 = 2000;

/// An operation of the driver.
#[derive(Clone, Copy)]
enum Act {
    Bind,
    Open,
    Set(State),
    /// Read as much as there is.
    Read,
    PrecopyInfo,
    /// Write a whole stream.
    Write,
    ReadRegion,
    MapRegion,
    Reset,
    /// Read a debug file.
    Debug(&'static str),
    /// Give a command to the debug file.
    Command(&'static str),
}

/// What is asked, after the device was brought to these states one after the other. Its VM works at
/// the beginning. In RESUMING a stream is written, unless that is what is asked.
type Operation = (&'static [State], Act);

use State::{PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};
use control::{Report, ZIP0};
use linux::sysfs;
use vfio_client::{BAR2, DataFile, Device, State};

const OPERATIONS: [Operation; 49] = [
    (&[], Act::Open),
    (&[], Act::ReadRegion),
    (&[], Act::MapRegion),
    (&[], Act::Reset),
    // Each arc
    (&[], Act::Set(Stop)),
    (&[], Act::Set(RunningP2p)),
    (&[], Act::Set(PreCopy)),
    (&[Stop], Act::Set(Running)),
    (&[Stop], Act::Set(RunningP2p)),
    (&[Stop], Act::Set(StopCopy)),
    (&[Stop], Act::Set(Resuming)),
    (&[StopCopy], Act::Set(Stop)),
    (&[Resuming], Act::Set(Stop)),
    (&[RunningP2p], Act::Set(Running)),
    (&[RunningP2p], Act::Set(Stop)),
    (&[RunningP2p], Act::Set(PreCopyP2p)),
    (&[PreCopy], Act::Set(Running)),
    (&[PreCopy], Act::Set(StopCopy)),
    (&[PreCopy], Act::Set(PreCopyP2p)),
    (&[PreCopy, PreCopyP2p], Act::Set(PreCopy)),
    (&[PreCopy, PreCopyP2p], Act::Set(RunningP2p)),
    (&[PreCopy, PreCopyP2p], Act::Set(StopCopy)),
    // Several arcs at once
    (&[], Act::Set(StopCopy)),
    (&[], Act::Set(Resuming)),
    (&[StopCopy], Act::Set(Running)),
    (&[Resuming], Act::Set(Running)),
    (&[PreCopy], Act::Set(Resuming)),
    // Data
    (&[StopCopy], Act::Read),
    (&[PreCopy], Act::Read),
    (&[PreCopy, StopCopy], Act::Read),
    (&[PreCopy], Act::PrecopyInfo),
    (&[Resuming], Act::Write),
    (&[StopCopy], Act::Reset),
    (&[Resuming], Act::Reset),
    // Files
    (&[], Act::Debug("state")),
    (&[], Act::Debug("features")),
    (&[StopCopy], Act::Debug("hisi_acc/dev_data")),
    (&[StopCopy, Running], Act::Debug("hisi_acc/migf_data")),
    (&[], Act::Debug("hisi_acc/cmd_state")),
    (&[StopCopy, Running], Act::Debug("hisi_acc/attr")),
    (&[StopCopy, Running], Act::Debug("hisi_acc/data")),
    (&[], Act::Debug("hisi_acc/match")),
    (&[], Act::Debug("hisi_acc/debug")),
    (&[], Act::Command("save")),
    (&[StopCopy, Running], Act::Command("resume")),
    (&[], Act::Command("io_test")),
    (&[], Act::Command("stop")),
    (&[Stop], Act::Command("start")),
    (&[], Act::Bind),
];

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Bind => f.write_str("bind"),
            Act::Open => f.write_str("open"),
            Act::Set(state) => write!(f, "to {state}"),
            Act::Read => f.write_str("read"),
            Act::PrecopyInfo => f.write_str("precopy info"),
            Act::Write => f.write_str("write"),
            Act::ReadRegion => f.write_str("read of BAR 2"),
            Act::MapRegion => f.write_str("mapping of BAR 2"),
            Act::Reset => f.write_str("reset"),
            Act::Debug(name) => write!(f, "read of {name}"),
            Act::Command(name) => write!(f, "command {name}"),
        }
    }
}

fn name_of((way, act): Operation) -> String {
    let way: Vec<&str> = way.iter().map(|state| state.name()).collect();
    match (way.is_empty(), act) {
        (_, Act::Bind | Act::Open) => act.to_string(),
        (true, _) => format!("RUNNING: {act}"),
        (false, _) => format!("{}: {act}", way.join(", ")),
    }
}

/// The visible effect of a fault, if any.
fn outcome(result: &Result<()>) -> String {
    let Err(error) = result else {
        return "success".to_owned();
    };
    match error.downcast_ref::<io::Error>().and_then(expect::errno) {
        Some(Errno::NOMEM) => "ENOMEM".to_owned(),
        Some(Errno::FAULT) => "EFAULT".to_owned(),
        Some(other) => format!("errno {}", other.raw_os_error()),
        None => format!("{error:#}"),
    }
}

/// The host, and what is done to it.
struct Sweep {
    fixture: Fixture,
    faults: Faults,
    /// Of the VF, with a driver in its VM.
    stream: Vec<u8>,
    /// Users of the driver's module while no device is open.
    users: u64,
    has_p2p: bool,
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 1)?;
    let driver = fixture.host.driver;
    let stream = fixture.full_stream()?;
    let has_p2p = fixture.open()?.features()?.p2p;
    let (module, function) = FAULTY;
    let mut sweep = Sweep {
        has_p2p,
        users: users(host::module_of(driver))?,
        faults: Faults::below(host::module_of(driver))?.but_not_below(module, function)?,
        stream,
        fixture,
    };
    let mut made = 0;
    for operation in OPERATIONS {
        if !sweep.knows(operation) {
            continue;
        }
        let name = name_of(operation);
        report.point(&name, || {
            let found = sweep.over(operation)?;
            made += found.outcomes.values().sum::<u64>();
            control::dump(format!("{name} | {found}"));
            // The comparison of the two is in what is dumped.
            ensure!(!driver.is_rust() || found.wrong.is_empty(), "{found}");
            Ok(())
        });
    }
    report.point("faults were made", || {
        ensure!(made > 50, "only {made} faults were made in all");
        Ok(())
    });
    report.point("nothing keeps the module", || {
        sweep.fixture.host.vfs[0].unbind()?;
        let unloaded = modules::unload(host::module_of(driver));
        if !driver.is_rust() {
            control::dump(format!("unload | {}", outcome(&unloaded)));
            return Ok(());
        }
        unloaded
    });
    ZIP0.report_violations(report, driver.is_rust());
    Ok(())
}

/// How many users a module has.
fn users(module: &str) -> Result<u64> {
    let count = sysfs::read(format!("/sys/module/{module}/refcnt"))?;
    count.trim().parse().context("refcnt is no number")
}

/// The effects of the faults of an operation.
#[derive(Default)]
struct Found {
    /// How often it ended in which way.
    outcomes: BTreeMap<String, u64>,
    /// By the number of the fault.
    wrong: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = self.outcomes.iter();
        let outcomes: Vec<_> = outcomes.map(|(what, n)| format!("{n} {what}")).collect();
        match outcomes.is_empty() {
            true => f.write_str("no fault is possible")?,
            false => f.write_str(&outcomes.join(", "))?,
        }
        self.wrong
            .iter()
            .try_for_each(|wrong| write!(f, "; {wrong}"))
    }
}

impl Sweep {
    /// Whether the driver has all that an operation needs.
    fn knows(&self, (way, act): Operation) -> bool {
        let needs_p2p = |state: &State| matches!(state, RunningP2p | PreCopyP2p);
        let target = match &act {
            Act::Set(state) => Some(state),
            _ => None,
        };
        let states = way.iter().chain(target).any(needs_p2p);
        let file = match act {
            Act::Debug(name) => self.file(name).exists(),
            Act::Command(_) => self.file("hisi_acc/debug").exists() && self.has_p2p,
            _ => true,
        };
        file && (self.has_p2p || !states)
    }

    fn file(&self, name: &str) -> PathBuf {
        let vf = self.fixture.host.vfs[0].name();
        debugfs::device(vf).join("migration").join(name)
    }

    /// Does it with each fault in turn, and then with none.
    fn over(&mut self, operation: Operation) -> Result<Found> {
        let mut found = Found::default();
        for nth in 1..TOO_MANY {
            let (result, made, checked) = self.with_fault(operation, nth)?;
            let all = checked.and_then(|()| self.is_sound());
            if !made {
                result.context("without a fault")?;
                all.context("without a fault")?;
                return Ok(found);
            }
            *found.outcomes.entry(outcome(&result)).or_default() += 1;
            if let Err(error) = all {
                found.wrong.push(format!("fault {nth}: {error:#}"));
                self.mend().with_context(|| found.to_string())?;
            }
        }
        bail!("there is no end of faults")
    }

    /// Does it with that fault, if there are so many. What came of it, whether the fault was made,
    /// and whether the device is in a state that fits.
    fn with_fault(
        &mut self,
        (way, act): Operation,
        nth: u64,
    ) -> Result<(Result<()>, bool, Result<()>)> {
        if let Act::Bind = act {
            let vf = &self.fixture.host.vfs[0];
            vf.unbind()?;
            let probe = || sysfs::write("/sys/bus/pci/drivers_probe", vf.name());
            let (mut result, left) = self.faults.nth(nth, probe)?;
            // The bus does not tell why.
            if vf.driver().is_none() {
                result = result.and(Err(anyhow!("not bound")));
            }
            return Ok((result, left == 0, self.is_bound_or_not()));
        }
        if let Act::Open = act {
            let (device, left) = self.faults.nth(nth, || self.fixture.open())?;
            return Ok((device.map(drop), left == 0, Ok(())));
        }
        self.fixture.work()?;
        let mut file = None;
        for state in way {
            let new = self.device()?.set_state(*state)?;
            file = new.or(file);
            if let (Resuming, Some(file), false) = (state, &file, matches!(act, Act::Write)) {
                file.write_chunks(&self.stream, &[])?;
            }
        }
        let before = self.device()?.state()?;
        let ((result, new), left) = {
            let device = self.fixture.vm.device()?;
            let (stream, path) = (&self.stream[..], self.path_of(act));
            let act = || perform(act, device, file.as_ref(), stream, &path);
            self.faults.nth(nth, act)?
        };
        let checked = self.check(act, &result, before, file.as_ref());
        drop((file, new));
        self.fixture.close()?;
        Ok((result, left == 0, checked))
    }

    /// The file that it is about, if it is about one.
    fn path_of(&self, act: Act) -> PathBuf {
        match act {
            Act::Debug(name) => self.file(name),
            _ => self.file("hisi_acc/debug"),
        }
    }

    fn device(&self) -> Result<&Device> {
        self.fixture.vm.device()
    }

    /// Whether the open device is as it must be after that.
    fn check(
        &self,
        act: Act,
        result: &Result<()>,
        before: State,
        file: Option<&DataFile>,
    ) -> Result<()> {
        let device = self.device()?;
        let state = device.state().context("asking for the state")?;
        match (act, result) {
            (Act::Set(wanted), Ok(())) => equal("state", state, wanted)?,
            (Act::Reset, Ok(())) => equal("state", state, Running)?,
            (Act::Command("stop"), Ok(())) => equal("state", state, Stop)?,
            (Act::Command("start"), Ok(())) => equal("state", state, Running)?,
            // Of a request for several arcs some may have been taken.
            (Act::Set(wanted), Err(_)) => {
                ensure!(state != wanted, "it has failed, and is in {state}");
            }
            (Act::Command(_), Err(_)) => {
                ensure!([before, State::Error].contains(&state), "state is {state}");
            }
            _ => equal("state", state, before)?,
        }
        // What has failed can be tried again, and does all of it then.
        if let (Act::Read | Act::Write | Act::PrecopyInfo, Err(_), Some(file)) = (act, result, file)
        {
            match act {
                Act::Read => {
                    let stream = file.read_available(4096).context("reading again")?;
                    ensure!(!stream.is_empty(), "nothing is left to be read");
                }
                Act::Write => {
                    file.write_chunks(&self.stream, &[])
                        .context("writing again")?;
                    device.set_state(Stop).context("loading it")?;
                }
                _ => {
                    file.precopy_info().context("asking again")?;
                }
            }
        }
        if device.state()? != Running {
            device.reset().context("resetting it")?;
            equal("state after a reset", device.state()?, Running)?;
        }
        Ok(())
    }

    /// After a bind that may have failed: all of the device is there, or nothing.
    fn is_bound_or_not(&self) -> Result<()> {
        let vf = &self.fixture.host.vfs[0];
        let folder = debugfs::device(vf.name());
        if vf.driver().is_none() {
            ensure!(!folder.exists(), "{} is left behind", folder.display());
            vf.bind(&self.fixture.host.driver_name()?)
                .context("binding it again")?;
        }
        Ok(())
    }

    /// The device is not open: nothing keeps the module, and a VM that gets the device works on it
    /// and can be saved.
    fn is_sound(&mut self) -> Result<()> {
        let users = users(host::module_of(self.fixture.host.driver))?;
        equal("users of the module", users, self.users)?;
        let stream = self
            .fixture
            .full_stream()
            .context("a VM that comes later")?;
        equal("size of its stream", stream.len(), STREAM_SIZE)
    }

    /// Makes the device usable again, after what must not have come of a fault.
    fn mend(&mut self) -> Result<()> {
        self.fixture.tidy()?;
        self.fixture.rebind().context("binding the driver anew")?;
        self.users = users(host::module_of(self.fixture.host.driver))?;
        Ok(())
    }
}

/// Does it. A data file that comes with it is returned besides.
fn perform(
    act: Act,
    device: &Device,
    file: Option<&DataFile>,
    stream: &[u8],
    path: &Path,
) -> (Result<()>, Option<DataFile>) {
    let done = |result: io::Result<usize>| (result.map(drop).map_err(Into::into), None);
    let missing = || Err(io::Error::from(Errno::BADF));
    match act {
        Act::Bind | Act::Open => (Ok(()), None),
        Act::Set(state) => match device.set_state(state) {
            Ok(file) => (Ok(()), file),
            Err(error) => (Err(error.into()), None),
        },
        Act::Read => done(file.map_or_else(missing, |file| file.read(&mut [0; 4096]))),
        Act::Write => done(file.map_or_else(missing, |file| file.write(stream))),
        Act::PrecopyInfo => done(file.map_or_else(missing, |file| file.precopy_info().map(|_| 0))),
        Act::ReadRegion => done(device.read_region(BAR2, 0, &mut [0; 4])),
        Act::MapRegion => (
            device
                .map_region(BAR2, 0, 4096)
                .map(drop)
                .map_err(Into::into),
            None,
        ),
        Act::Reset => (device.reset().map_err(Into::into), None),
        Act::Debug(_) => (debugfs::content(path).map(drop).map_err(Into::into), None),
        Act::Command(name) => (fs::write(path, name).map_err(Into::into), None),
    }
}
