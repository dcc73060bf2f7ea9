// SPDX-License-Identifier: GPL-2.0

//! Owners of a device that come and go while others look at its files: none of them sees what the
//! one before has left.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use linux::sysfs;
use vfio_client::State;

use super::Fixture;
use super::files;
use super::reading::{KCSAN, READERS};
use crate::scenario::support::debugfs;
use crate::scenario::support::stream_layout::QUEUE_BASE;

/// Where owners leave a mark in the match data: the first queue, which no driver compares.
const MARK: usize = QUEUE_BASE.start;
/// Owners that come and go under the readers, and how often the device is unbound meanwhile.
const OWNERS: u32 = 60;
const REBIND_EVERY: u32 = 10;

/// The content that readers may see from now on.
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
        if let Ok(text) = debugfs::content(&folder.join("attr")) {
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
            if let Ok(text) = debugfs::content(&folder.join(name)) {
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
pub(super) fn under_readers(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    fixture.rebind()?;
    let watch = Watch::default();
    let folder = fixture.files().0.clone();
    let (result, readers, commands) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| scope.spawn(|| watch.look_until_over(&folder)))
            .collect();
        let commands = scope.spawn(|| watch.command_until_over(&folder));
        let mut last = 0;
        let result: Result<()> = (1..=OWNERS).try_for_each(|owner| {
            last = own(fixture, &watch, &stream, owner, last)
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
    control::note(format!(
        "data seen by readers: {seen}, commands: {commands}"
    ));
    ensure!(seen > 0, "no reader has seen any data");
    ensure!(commands > 0, "no command was carried out");
    if Path::new(KCSAN).exists() {
        let text = sysfs::read(KCSAN)?;
        ensure!(text.contains("enabled: 1"), "KCSAN has not looked:\n{text}");
        for line in text.lines().take(4) {
            control::note(format!("KCSAN {line}"));
        }
    }
    Ok(())
}

/// What one owner does: sessions with its mark in the data, and arcs. `last` is the number of the
/// last session before it; returns its own last.
fn own(fixture: &Fixture, watch: &Watch, stream: &[u8], owner: u32, last: u64) -> Result<u64> {
    let device = fixture.open()?;
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
    let last = sessions_in(&debugfs::content(&fixture.files().0.join("attr"))?)?
        .into_iter()
        .max()
        .context("attr shows no session")?;
    drop(device);
    if owner % REBIND_EVERY == 0 {
        watch.bound.fetch_add(1, Ordering::SeqCst);
        watch.last_session.store(0, Ordering::SeqCst);
        fixture.rebind()?;
        return Ok(0);
    }
    Ok(last)
}
