// SPDX-License-Identifier: GPL-2.0

//! Looking changes nothing, whoever looks, when, and from which offset.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use rustix::io::Errno;
use serde_json::Value;

use super::Bench;
use super::files::{self, read_observed};
use crate::control;
use crate::expect::equal;
use crate::scenario::tree;
use crate::sysfs;
use crate::vfio::State;

/// Threads that read at once.
const READERS: u64 = 4;
/// Reads of each of them while the device stays in a state.
const READS: usize = 40;
/// The detector of data races, in a kernel that has it.
const KCSAN: &str = "/sys/kernel/debug/kcsan";
/// Where owners leave a mark in the match data: the first queue, which nobody compares.
const MARK: usize = 20;
/// Owners that come and go under the readers, and how often the device is unbound meanwhile.
const OWNERS: u32 = 60;
const REBIND_EVERY: u32 = 10;

/// Register writes, doorbells and mailbox commands of all functions.
fn changes() -> Result<Value> {
    let counters = control::get("counters")?;
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
fn all_files(bench: &Bench) -> Result<Vec<PathBuf>> {
    let entries = tree::entries(&tree::device(bench.host.vfs[0].name()))?;
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
            // that seq_file used to repeat for ever.
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

fn read_all(bench: &Bench, what: &str) -> Result<()> {
    let before = changes()?;
    let paths = all_files(bench)?;
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

pub(super) fn in_any_state(bench: &mut Bench) -> Result<()> {
    read_all(bench, "of an unopened device")?;
    bench.work()?;
    let device = bench.vm.device()?;
    read_all(bench, "in RUNNING")?;
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
            bench.files().state()?.as_str(),
            state.name(),
        )?;
        bench
            .files()
            .attributes_are(&[("device state", state.name())])?;
        read_all(bench, &format!("in {state}"))?;
        drop(file);
    }
    device.reset()?;
    bench.vm.start_over()?;
    control::set("fault", "fn1:wb-never")?;
    let result = bench.vm.device()?.set_state(State::Stop);
    control::set("fault", "")?;
    ensure!(result.is_err(), "a stop without write-back succeeded");
    equal("the state file", bench.files().state()?.as_str(), "ERROR")?;
    read_all(bench, "in ERROR")?;
    bench.close()?;
    read_all(bench, "of a closed device")
}

/// What a user can bring about at will is told to him and not to the log.
pub(super) fn nothing_in_the_log(bench: &mut Bench) -> Result<()> {
    let stream = bench.full_stream()?;
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
            bench.files().command(command).is_err(),
            "{command} succeeded on a closed device"
        );
    }
    read_all(bench, "of a closed device")?;
    bench.work()?;
    bench.files().does("save")?;
    read_all(bench, "in RUNNING")?;
    let device = bench.vm.device()?;
    for offset in 0..30 {
        let mut wrong = stream.clone();
        wrong[offset] ^= 0x55;
        let file = device.set_state_with_file(State::Resuming)?;
        bench.files().refuses("save", Errno::BUSY)?;
        // Some bytes are nobody's, and the stream fits all the same.
        if file.write(&wrong).is_err() {
            ensure!(device.set_state(State::Stop).is_err(), "it was loaded");
        }
        device.reset()?;
    }
    read_all(bench, "after refused streams")?;

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

/// What the readers may see from now on.
#[derive(Default)]
struct Watch {
    over: AtomicBool,
    /// How often the device has been bound anew: sessions are counted from 1 again then.
    bound: AtomicU64,
    /// The number of the last session of the owners before this one.
    last_session: AtomicU64,
    /// The mark of the owner there is; those before had smaller ones.
    mark: AtomicU64,
    /// How often a reader has seen data of an owner.
    seen: AtomicU64,
}

impl Watch {
    /// Reads each file once and looks for what was before.
    fn look(&self, folder: &Path) -> Result<()> {
        let bound = self.bound.load(Ordering::SeqCst);
        let last = self.last_session.load(Ordering::SeqCst);
        if let Ok(text) = tree::content(&folder.join("attr")) {
            let shown = sessions_in(&text)?;
            if self.bound.load(Ordering::SeqCst) == bound {
                let old = shown.into_iter().find(|session| *session <= last);
                ensure!(
                    old.is_none(),
                    "session {old:?} is shown, the last owner's last was {last}:\n{text}"
                );
            }
        }
        let mark = self.mark.load(Ordering::SeqCst);
        for name in ["data", "migf_data"] {
            if let Ok(text) = tree::content(&folder.join(name)) {
                let shown = mark_in(&text)?;
                ensure!(
                    shown >= mark,
                    "{name} shows the data of owner {shown}, now there is {mark}"
                );
                self.seen.fetch_add(1, Ordering::Relaxed);
            }
        }
        for (name, _) in files::ALL {
            if let Ok(file) = File::open(folder.join(name)) {
                // What it says is no matter here.
                let _ = file.read_at(&mut [0; 7], 13);
            }
        }
        Ok(())
    }

    /// Gives commands to whichever owner there is, and returns how many were carried out.
    fn command_until_over(&self, files: &Path) -> u64 {
        let mut done = 0;
        while !self.over.load(Ordering::Relaxed) {
            for command in ["io_test\n", "stop\n", "start\n"] {
                // Between owners, in sessions and without the driver they are refused.
                done += u64::from(fs::write(files.join("debug"), command).is_ok());
            }
        }
        done
    }

    fn look_until_over(&self, folder: &Path) -> Result<()> {
        while !self.over.load(Ordering::Relaxed) {
            self.look(folder)?;
        }
        Ok(())
    }
}

/// The numbers of all sessions that `attr` speaks of.
fn sessions_in(attr: &str) -> Result<Vec<u64>> {
    let numbers = attr.lines().filter_map(|line| {
        let (key, value) = line.split_once(": ")?;
        match key {
            "session" => value.split(' ').next().filter(|word| *word != "none"),
            "refused" => value.strip_prefix("session ")?.split(',').next(),
            "history" | "failure" => files::word(value, "session")
                .ok()
                .filter(|word| *word != "-"),
            _ => None,
        }
    });
    numbers
        .map(|number| {
            number
                .parse()
                .with_context(|| format!("{number:?} in {attr}"))
        })
        .collect()
}

/// The mark in a dump of data, in its second line.
fn mark_in(data: &str) -> Result<u64> {
    let line = data.lines().nth(1).context("data of less than two lines")?;
    let (_, bytes) = line
        .split_once(": ")
        .with_context(|| format!("line {line:?}"))?;
    let mut mark = 0;
    for (number, byte) in bytes.split(' ').skip(MARK % 16).take(4).enumerate() {
        let byte = u64::from_str_radix(byte, 16).with_context(|| format!("line {line:?}"))?;
        mark |= byte << (8 * number);
    }
    Ok(mark)
}

/// Owners come, migrate and go, the device is unbound and bound; readers look all the time, and
/// somebody gives commands. None of them sees what an owner has left to the next one, and nobody
/// waits for them.
pub(super) fn under_readers(bench: &mut Bench) -> Result<()> {
    let stream = bench.match_stream()?;
    bench.rebind()?;
    let watch = Watch::default();
    let folder = bench.files().0.clone();
    let (result, readers, commands) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| scope.spawn(|| watch.look_until_over(&folder)))
            .collect();
        let commands = scope.spawn(|| watch.command_until_over(&folder));
        let mut last = 0;
        let result: Result<()> = (1..=OWNERS).try_for_each(|owner| {
            last = own(bench, &watch, &stream, owner, last)
                .with_context(|| format!("owner {owner}"))?;
            Ok(())
        });
        watch.over.store(true, Ordering::Relaxed);
        let readers: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        (result, readers, commands.join())
    });
    for reader in readers {
        reader.map_err(|_| anyhow::anyhow!("a reader panicked"))??;
    }
    result?;
    let commands = commands.map_err(|_| anyhow::anyhow!("who gives commands panicked"))?;
    let seen = watch.seen.load(Ordering::Relaxed);
    control::line(&format!(
        "# data seen by readers: {seen}, commands: {commands}"
    ));
    ensure!(seen > 0, "no reader has seen any data");
    ensure!(commands > 0, "no command was carried out");
    if Path::new(KCSAN).exists() {
        let text = sysfs::read(KCSAN)?;
        ensure!(text.contains("enabled: 1"), "KCSAN has not looked:\n{text}");
        for line in text.lines().take(4) {
            control::line(&format!("# KCSAN {line}"));
        }
    }
    Ok(())
}

/// What one owner does: sessions with its mark in the data, and arcs. `last` is the number of the
/// last session before it; returns its own last.
fn own(bench: &Bench, watch: &Watch, stream: &[u8], owner: u32, last: u64) -> Result<u64> {
    let device = bench.open()?;
    // From here on nothing of the last owner may be seen.
    watch.mark.store(owner.into(), Ordering::SeqCst);
    watch.last_session.store(last, Ordering::SeqCst);
    let mut marked = stream.to_vec();
    marked[MARK..MARK + 4].copy_from_slice(&owner.to_le_bytes());
    for _ in 0..2 {
        let file = device.set_state_with_file(State::Resuming)?;
        file.write_chunks(&marked, &[39, 1])?;
        for state in [
            State::Stop,
            State::Running,
            State::RunningP2p,
            State::Running,
        ] {
            device.set_state(state)?;
        }
    }
    if owner % 3 == 0 {
        device.reset()?;
    }
    let last = sessions_in(&tree::content(&bench.files().0.join("attr"))?)?
        .into_iter()
        .max()
        .context("attr shows no session")?;
    drop(device);
    if owner % REBIND_EVERY == 0 {
        watch.bound.fetch_add(1, Ordering::SeqCst);
        watch.last_session.store(0, Ordering::SeqCst);
        bench.rebind()?;
        return Ok(0);
    }
    Ok(last)
}
