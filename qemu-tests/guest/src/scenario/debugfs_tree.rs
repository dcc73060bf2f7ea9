// SPDX-License-Identifier: GPL-2.0

//! VFIO core's debugfs, dumped in every state a device can be in.
//!
//! The host runs this with the kernel's vfio.ko and with ours, and compares what was dumped byte
//! by byte. The device is the kernel's sample mtty, which has all states and needs no hardware.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use super::tree::{self, VFIO};
use crate::Options;
use crate::control::{self, Report};
use crate::expect;
use crate::host;
use crate::modules::{self, Modules};
use crate::sysfs;
use crate::vfio::{Device, State};

const PARENT: &str = "/sys/devices/virtual/mtty/mtty";
const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
const FAIL_NTH: &str = "/proc/thread-self/fail-nth";

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let modules = host::modules(options)?;
    host::load_vfio(&modules)?;
    modules.load("mtty")?;

    report.point("without a device", || dump("empty"));
    report.point("states of a device", states);
    report.point("a reader whose device is removed", removed_under_reader);
    report.point(
        "the directory goes before the last user",
        removed_before_user,
    );
    report.point("devices come and go under a reader", come_and_go);
    if Path::new(FAIL_NTH).exists() {
        report.point("memory runs out while a device is made", out_of_memory);
    } else {
        report.skip(
            "memory runs out while a device is made",
            "kernel without fault injection",
        );
    }
    plain_vfio_pci(&modules, report);
    report.point("unload and load", || unload_and_load(&modules));
    Ok(())
}

/// Sends the whole tree to the host.
fn dump(section: &str) -> Result<()> {
    for line in tree::describe(Path::new(VFIO))? {
        control::line(&format!("@dump {section}: {line}"));
    }
    Ok(())
}

fn create() -> Result<()> {
    sysfs::write(format!("{PARENT}/mdev_supported_types/mtty-1/create"), UUID)
}

fn remove() -> Result<()> {
    sysfs::write(format!("{PARENT}/{UUID}/remove"), "1")
}

fn open() -> Result<Device> {
    Device::open_without_dma(&Path::new(PARENT).join(UUID).join("vfio-dev"))
}

fn folder() -> PathBuf {
    tree::device(UUID)
}

fn state_file() -> PathBuf {
    folder().join("migration/state")
}

/// Sets a state and sees it in the file.
fn step(device: &Device, state: State, section: &str) -> Result<()> {
    let file = device
        .set_state(state)
        .with_context(|| format!("setting {state}"))?;
    let said = tree::content(&state_file())?;
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
        control::line(&format!("@dump reader {name}: {result:?}"));
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
    let gone = expect::eventually("the directory's end", Duration::from_secs(10), || {
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

fn come_and_go() -> Result<()> {
    let done = Arc::new(AtomicBool::new(false));
    let read = Arc::new(AtomicUsize::new(0));
    let reader = std::thread::spawn({
        let (done, read) = (done.clone(), read.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                // Whatever is there now may be gone at the next step; that is the point.
                for path in tree::entries(Path::new(VFIO)).unwrap_or_default() {
                    if tree::content(&path).is_ok() {
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

/// Creates the device with its n-th allocation failing. Says whether it was made, and how many
/// allocations were still to come before the one that should fail.
fn create_failing(nth: u64) -> Result<(bool, u64)> {
    let mut fail = OpenOptions::new().read(true).write(true).open(FAIL_NTH)?;
    fail.write_all(nth.to_string().as_bytes())?;
    let made = create().is_ok();
    let mut left = [0; 16];
    let length = fail.read_at(&mut left, 0)?;
    fail.write_all(b"0")?;
    let left = std::str::from_utf8(&left[..length])?.trim();
    Ok((made, left.parse().context("fail-nth is no number")?))
}

/// Has each allocation fail that is made for the files. A device without files is all that may
/// come of it, and it goes without a trace.
///
/// The files come late in a device's creation, so this goes from the last allocation backwards
/// until the device is not made any more. It goes no further, and does not open what was made:
/// the kernel's own code warns, or crashes, where its earlier allocations fail.
fn out_of_memory() -> Result<()> {
    const NEVER: u64 = 1_000_000;
    // The report of each failure looks like a crash.
    sysfs::write("/sys/kernel/debug/failslab/verbose", "0")?;
    // Ordinary allocations wait for memory, and these are the ones to fail.
    sysfs::write("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")?;
    let (made, left) = create_failing(NEVER)?;
    ensure!(made, "the device was not made though nothing failed");
    remove()?;
    let mut without_files = 0;
    for nth in (1..=NEVER - left).rev() {
        let (made, _) = create_failing(nth)?;
        if made {
            match tree::content(&state_file()) {
                Ok(state) => expect::equal("state", state.as_str(), "RUNNING\n")?,
                Err(_) => without_files += 1,
            }
            remove()?;
        }
        ensure!(!folder().exists(), "{} is left behind", folder().display());
        if !made && without_files > 0 {
            break;
        }
    }
    control::line(&format!("# devices without files: {without_files}"));
    ensure!(without_files > 0, "no allocation for a file ever failed");
    Ok(())
}

fn plain_vfio_pci(modules: &Modules, report: &mut Report) {
    const NAME: &str = "a VF bound to vfio-pci";
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
        let files = tree::entries(&tree::device(vf.name()))?;
        ensure!(!files.is_empty(), "the device has no files");
        let migration = files.iter().find(|path| path.ends_with("migration"));
        ensure!(
            migration.is_none(),
            "a device without migration has {migration:?}"
        );
        vf.unbind()?;
        ensure!(
            !tree::device(vf.name()).exists(),
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
