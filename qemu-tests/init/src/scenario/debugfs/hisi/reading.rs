// SPDX-License-Identifier: GPL-2.0

//! Looking changes nothing, when it is and from which offset.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use control::ZIP0;
use fastrand::Rng;
use linux::sysfs;
use rustix::io::Errno;
use serde_json::Value;
use vfio_client::State;

use super::Fixture;
use super::files::read_observed;
use crate::expect::equal;
use crate::scenario::support::debugfs;

/// Threads that read at once.
pub(super) const READERS: u64 = 4;
/// Reads of each of them while the device stays in a state.
const READS: usize = 40;
/// The detector of data races, in a kernel that has it.
pub(super) const KCSAN: &str = "/sys/kernel/debug/kcsan";

/// Register writes, doorbells and mailbox commands of all functions.
fn changes() -> Result<Value> {
    let counters = ZIP0.get("counters")?;
    let counters = counters.as_object().context("counters is no JSON object")?;
    let functions = counters.iter().filter(|(name, _)| name.starts_with("fn"));
    let pick = |counts: &Value| {
        let keys = ["writes", "doorbells", "mailbox"];
        keys.map(|key| counts.get(key).cloned().unwrap_or_default())
            .to_vec()
    };
    Ok(functions
        .map(|(name, counts)| (name.clone(), Value::from(pick(counts))))
        .collect())
}

/// All files of VF1, the core's and the driver's.
fn all_files(fixture: &Fixture) -> Result<Vec<PathBuf>> {
    let entries = debugfs::entries(&debugfs::device(fixture.host.vfs[0].name()))?;
    Ok(entries.into_iter().filter(|path| path.is_file()).collect())
}

/// Reads of a few bytes from anywhere, in one file after the other that is held open.
fn read_anywhere(paths: &[PathBuf], random: &mut Rng) -> Result<()> {
    for path in paths {
        let file = File::open(path)?;
        for _ in 0..READS / 10 {
            let mut bytes = vec![0; random.usize(1..=64)];
            let offset = random.u64(..600);
            // What a file has nothing to say of is checked elsewhere; an EAGAIN would be an answer
            // that seq_file used to repeat forever.
            if let Err(error) = file.read_at(&mut bytes, offset) {
                ensure!(
                    error.raw_os_error() != Some(libc::EAGAIN),
                    "{} at {offset}: {error}",
                    path.display(),
                );
            }
        }
    }
    Ok(())
}

fn read_all(fixture: &Fixture, what: &str) -> Result<()> {
    let before = changes()?;
    let paths = all_files(fixture)?;
    for path in &paths {
        // Some have nothing to say in some states.
        let _ = read_observed(path);
    }
    let results = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|seed| {
                let paths = &paths;
                scope.spawn(move || {
                    let mut random = Rng::with_seed(seed + 1);
                    (0..10).try_for_each(|_| read_anywhere(paths, &mut random))
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join())
            .collect::<Vec<_>>()
    });
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a reader panicked"))??;
    }
    equal(
        &format!("register writes by reading all files {what}"),
        changes()?,
        before,
    )
}

pub(super) fn in_any_state(fixture: &mut Fixture) -> Result<()> {
    read_all(fixture, "of an unopened device")?;
    fixture.work()?;
    let device = fixture.vm.device()?;
    read_all(fixture, "in RUNNING")?;
    for state in [
        State::RunningP2p,
        State::Stop,
        State::StopCopy,
        State::Running,
        State::PreCopy,
        State::PreCopyP2p,
        State::StopCopy,
        State::Resuming,
    ] {
        let file = device
            .set_state(state)
            .with_context(|| format!("setting {state}"))?;
        equal(
            "the state file",
            fixture.files().state()?.as_str(),
            state.name(),
        )?;
        fixture
            .files()
            .attributes_are(&[("device state", state.name())])?;
        read_all(fixture, &format!("in {state}"))?;
        drop(file);
    }
    device.reset()?;
    fixture.vm.start_over()?;
    ZIP0.set("fault", "fn1:wb-never")?;
    let result = fixture.vm.device()?.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    ensure!(result.is_err(), "a stop without write-back succeeded");
    equal("the state file", fixture.files().state()?.as_str(), "ERROR")?;
    read_all(fixture, "in ERROR")?;
    fixture.close()?;
    read_all(fixture, "of a closed device")
}

/// Conditions that a user can cause at will are reported to the user and not logged.
pub(super) fn nothing_in_the_log(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg")?;
    log.seek(SeekFrom::End(0))?;
    // What it finds in the kernel's own code is no answer to what is done here.
    let kcsan = Path::new(KCSAN);
    if kcsan.exists() {
        sysfs::write(kcsan, "off")?;
    }

    for command in ["save", "io_test", "3"] {
        ensure!(
            fixture.files().command(command).is_err(),
            "{command} succeeded on a closed device"
        );
    }
    read_all(fixture, "of a closed device")?;
    fixture.work()?;
    fixture.files().does("save")?;
    read_all(fixture, "in RUNNING")?;
    let device = fixture.vm.device()?;
    for offset in 0..30 {
        let mut wrong = stream.clone();
        wrong[offset] ^= 0x55;
        let file = device.set_state_with_file(State::Resuming)?;
        fixture.files().refuses("save", Errno::BUSY)?;
        // Some bytes belong to no field, and the stream fits all the same.
        if file.write(&wrong).is_err() {
            ensure!(device.set_state(State::Stop).is_err(), "it was loaded");
        }
        device.reset()?;
    }
    read_all(fixture, "after refused streams")?;

    if kcsan.exists() {
        sysfs::write(kcsan, "on")?;
    }

    let mut line = [0; 1024];
    match log.read(&mut line) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(length) => bail!(
            "the kernel log has got {:?}",
            String::from_utf8_lossy(&line[..length])
        ),
        Err(error) => Err(error).context("reading the kernel log"),
    }
}
