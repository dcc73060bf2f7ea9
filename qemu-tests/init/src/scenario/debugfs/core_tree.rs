// SPDX-License-Identifier: GPL-2.0

//! VFIO core's debugfs, dumped in every state a device can be in.
//!
//! The host runs this with the kernel's vfio.ko and with ours, and compares what was dumped byte
//! by byte, but for the history, which the kernel's does not have. The device is the kernel's sample
//! mtty, which has all states and needs no hardware.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::Report;
use linux::sysfs;
use protocol::{Driver, Setup};
use rustix::io::Errno;
use vfio_client::{Device, State};

use crate::expect::{self, equal};
use crate::fail_nth::Faults;
use crate::host;
use crate::modules::{self, Modules};
use crate::scenario::support::debugfs::{self, VFIO};
use crate::scenario::support::fault_injection::{self, Creatable};
use crate::scenario::support::history;
use crate::scenario::support::mtty::{self, UUID, create, open, remove};

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    host::load_vfio(&modules)?;
    modules.load("mtty")?;

    report.point("without a device", || dump("empty"));
    report.point("states of a device", states);
    report.point("a reader whose device is removed", removed_under_reader);
    report.point(
        "R3: the directory goes before the last user",
        removed_before_user,
    );
    report.point("R3: devices come and go under a reader", come_and_go);
    let name = "R22: memory runs out while a device is made";
    fault_injection::point(report, name, || {
        fault_injection::fail_each_allocation_backwards(&Mtty)
    });
    if setup.vfio != Some(Driver::C) {
        report.point("the history of requests", requests);
        report.point("the history goes with the device", history_ends);
        report.point("a device without memory for a history", || {
            without_memory_for_history()
        });
    }
    plain_vfio_pci(&modules, report);
    report.point("R6: unload and load", || unload_and_load(&modules));
    Ok(())
}

/// Sends the whole tree to the host.
fn dump(section: &str) -> Result<()> {
    for line in debugfs::describe(Path::new(VFIO))? {
        control::dump(format!("{section}: {line}"));
    }
    Ok(())
}

fn folder() -> PathBuf {
    debugfs::device(UUID)
}

fn state_file() -> PathBuf {
    folder().join("migration/state")
}

/// Sets a state and sees it in the file.
fn step(device: &Device, state: State, section: &str) -> Result<()> {
    let file = device
        .set_state(state)
        .with_context(|| format!("setting {state}"))?;
    let said = debugfs::content(&state_file())?;
    expect::equal(
        "the state file",
        said.as_str(),
        format!("{state}\n").as_str(),
    )?;
    dump(section)?;
    drop(file);
    Ok(())
}

fn states() -> Result<()> {
    create()?;
    dump("made")?;
    let device = open()?;
    dump("open")?;
    let walk = [
        State::RunningP2p,
        State::Stop,
        State::StopCopy,
        State::Stop,
        State::Running,
        State::PreCopy,
        State::PreCopyP2p,
        State::StopCopy,
        State::Running,
        State::Stop,
        State::Resuming,
    ];
    for (number, state) in walk.into_iter().enumerate() {
        step(&device, state, &format!("step {} {state}", number + 1))?;
    }
    device.reset()?;
    dump("reset")?;
    drop(device);
    dump("closed")?;
    remove()?;
    ensure!(
        !folder().exists(),
        "{} is there after removal",
        folder().display()
    );
    dump("removed")
}

fn removed_under_reader() -> Result<()> {
    create()?;
    let mut begun = File::open(state_file())?;
    begun.read_exact(&mut [0])?;
    let fresh = File::open(folder().join("migration/features"))?;
    remove()?;
    for (name, file) in [("begun", begun), ("fresh", fresh)] {
        let result = file.read_at(&mut [0; 64], 0);
        // A difference between the two vfio.ko would show here as well.
        control::dump(format!("reader {name}: {result:?}"));
        expect::refused(&format!("a read ({name}) after removal"), result, Errno::IO)?;
    }
    ensure!(
        !folder().exists(),
        "{} is there after removal",
        folder().display()
    );
    Ok(())
}

fn removed_before_user() -> Result<()> {
    create()?;
    let device = open()?;
    let remover = std::thread::spawn(remove);
    let gone = expect::eventually("the directory's end", Duration::from_secs(60), || {
        Ok(!folder().exists())
    });
    let waiting = !remover.is_finished();
    drop(device);
    let removed = remover
        .join()
        .map_err(|_| anyhow::anyhow!("the remover panicked"))?;
    gone.and(removed)?;
    ensure!(waiting, "the device was removed while somebody had it open");
    Ok(())
}

/// A device of any driver has a history: here one that has no file of this project's.
fn requests() -> Result<()> {
    create()?;
    let device = open()?;
    let none = history::requests(UUID)?;
    ensure!(none.is_empty(), "requests before the first one: {none:?}");
    history::has_each_request(&device, UUID)?;
    history::is_bounded(&device, UUID)?;
    history::is_consistent_under_threads(&device, UUID)?;
    let last = history::last_number(UUID)?;
    drop(device);
    let device = open()?;
    equal("last request", history::last_number(UUID)?, last)?;
    device.set_state(State::Stop)?;
    equal(
        "first of the next user",
        history::last_number(UUID)?,
        last + 1,
    )?;
    drop(device);
    remove()
}

/// The file goes while the device is in use, and requests are still answered; the next device has a
/// history of its own.
fn history_ends() -> Result<()> {
    create()?;
    let device = open()?;
    device.set_state(State::Stop)?;
    let reader = File::open(history::file(UUID))?;
    reader.read_exact_at(&mut [0; 8], 0)?;
    let remover = std::thread::spawn(remove);
    let gone = expect::eventually("the directory's end", Duration::from_secs(60), || {
        Ok(!folder().exists())
    });
    let answered = device.set_state(State::Running);
    let state = device.state();
    let read = reader.read_at(&mut [0; 64], 0);
    drop(device);
    let removed = remover
        .join()
        .map_err(|_| anyhow::anyhow!("the remover panicked"))?;
    gone.and(removed)?;
    answered.context("a request without debugfs")?;
    equal("state", state?, State::Running)?;
    expect::refused("a read after removal", read, Errno::IO)?;
    create()?;
    let old = history::requests(UUID)?;
    remove()?;
    ensure!(old.is_empty(), "requests to another device: {old:?}");
    Ok(())
}

/// If there is no memory for the history, the device lacks it and nothing else.
fn without_memory_for_history() -> Result<()> {
    let mut faults = Faults::of_allocations()?;
    let ((), allocations) = faults.count(|| Mtty.make())?;
    Mtty.remove()?;
    for nth in (1..=allocations).rev() {
        faults.nth(nth, || Mtty.make())?;
        let has = |name: &str| folder().join("migration").join(name).exists();
        if has("state") && has("features") && !has("history") {
            let device = open()?;
            for state in [State::Stop, State::StopCopy, State::Running] {
                device.set_state(state)?;
                equal("state", device.state()?, state)?;
            }
            let answer = device.set_state_unanswerable(State::Stop as u32);
            expect::refused("an answer that cannot be written", answer, Errno::FAULT)?;
            let state = debugfs::content(&state_file())?;
            equal("the state file", state.as_str(), "STOP\n")?;
            drop(device);
            return Mtty.remove();
        }
        Mtty.remove()?;
    }
    bail!("no allocation for the history ever failed")
}

fn come_and_go() -> Result<()> {
    let done = Arc::new(AtomicBool::new(false));
    let read = Arc::new(AtomicUsize::new(0));
    let reader = std::thread::spawn({
        let (done, read) = (done.clone(), read.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                // Whatever is there now may be gone at the next step; that is the point.
                for path in debugfs::entries(Path::new(VFIO)).unwrap_or_default() {
                    if debugfs::content(&path).is_ok() {
                        read.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    });
    // On a busy machine the reader may come late: 30 times, and more until it has read something.
    let enough = |round| round >= 30 && (read.load(Ordering::Relaxed) > 0 || round >= 1000);
    let result = (0..).take_while(|round| !enough(*round)).try_for_each(|_| {
        create()?;
        ensure!(
            state_file().exists(),
            "{} is not there",
            state_file().display()
        );
        remove()
    });
    done.store(true, Ordering::Relaxed);
    reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    result?;
    ensure!(
        read.load(Ordering::Relaxed) > 0,
        "the reader never read anything"
    );
    Ok(())
}

/// The sample device, made while memory runs out.
struct Mtty;

impl Creatable for Mtty {
    fn make(&self) {
        // What came of it is looked at when memory is there again.
        let _ = create();
    }

    fn is_made(&self) -> bool {
        mtty::folder().exists()
    }

    fn is_whole(&self) -> Result<bool> {
        match debugfs::content(&state_file()) {
            Ok(state) => expect::equal("state", state.as_str(), "RUNNING\n").map(|()| true),
            Err(_) => Ok(false),
        }
    }

    fn remove(&self) -> Result<()> {
        if self.is_made() {
            remove()?;
        }
        ensure!(!folder().exists(), "{} is left behind", folder().display());
        Ok(())
    }
}

fn plain_vfio_pci(modules: &Modules, report: &mut Report) {
    const NAME: &str = "R4: a VF bound to vfio-pci";
    let pf = match host::load_zip(modules, "") {
        Ok(pf) => pf,
        Err(error) => return report.skip(NAME, &format!("{error:#}")),
    };
    report.point(NAME, || {
        modules.load("vfio_pci")?;
        pf.enable_vfs(1, false)?;
        let vf = pf.virtual_function(0)?;
        vf.bind("vfio-pci")?;
        dump("vfio-pci")?;
        let files = debugfs::entries(&debugfs::device(vf.name()))?;
        ensure!(!files.is_empty(), "the device has no files");
        let migration = files.iter().find(|path| path.ends_with("migration"));
        ensure!(
            migration.is_none(),
            "a device without migration has {migration:?}"
        );
        vf.unbind()?;
        ensure!(
            !debugfs::device(vf.name()).exists(),
            "the directory is there after unbind"
        );
        sysfs::write(pf.path("sriov_numvfs"), "0")
    });
}

fn unload_and_load(loaded: &Modules) -> Result<()> {
    let held = File::open(VFIO)?;
    for name in [
        "mtty",
        "mdev",
        "vfio_pci",
        "vfio_pci_core",
        "vfio_iommu_type1",
        "vfio",
    ] {
        if modules::is_loaded(name) {
            modules::unload(name)?;
        }
    }
    ensure!(!Path::new(VFIO).exists(), "{VFIO} is there without vfio.ko");
    drop(held);
    host::load_vfio(loaded)?;
    loaded.load("mtty")?;
    ensure!(
        fs::read_dir(VFIO)?.next().is_none(),
        "{VFIO} is not empty after loading"
    );
    create()?;
    dump("loaded again")?;
    remove()
}
