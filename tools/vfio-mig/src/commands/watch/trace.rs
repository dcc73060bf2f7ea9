// SPDX-License-Identifier: GPL-2.0

//! VFIO core's trace event `migration_arc`, read through an instance of tracefs that is removed when
//! it is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::errno::Errno;
use crate::request::Change;
use crate::words::{ParseError, Words, decimal, no};

/// Where tracefs is.
pub(super) const TRACEFS: &str = "/sys/kernel/tracing";

/// The event.
const EVENT: &str = "events/vfio/migration_arc";

/// The name of the event in a line, with what is around it. The name of a thread is shorter.
const SEPARATOR: &str = ": migration_arc: ";

/// Kilobytes of each processor's buffer, which has more events than any device has in an interval.
const BUFFER_KB: &str = "64";

/// A request that the driver has answered, as the event shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// The states.
    #[serde(flatten)]
    pub change: Change,
    /// How long the driver took.
    pub duration_us: u64,
    /// What the driver has failed with, 0 for success.
    pub errno: Errno,
    /// The thread that made the request.
    pub tid: u32,
    /// Its name.
    pub comm: String,
}

/// Reads a line of `trace_pipe`: thread, processor, flags, time, event.
fn parse(line: &str) -> Result<Answered, ParseError> {
    let found = || {
        let (head, text) = line.split_once(SEPARATOR)?;
        // A name may have brackets, too.
        let (thread, _) = head.rsplit_once('[')?;
        let (comm, tid) = thread.trim().rsplit_once('-')?;
        Some((comm, tid, text))
    };
    let (comm, tid, text) = found().ok_or_else(|| no("event", line))?;
    let words = Words::of(text)?;
    let ret = words.get("ret")?;
    Ok(Answered {
        change: Change::parse(&words)?,
        duration_us: decimal(words.get("duration")?)?,
        errno: Errno::parse(ret.strip_prefix('-').unwrap_or(ret))?,
        tid: decimal(tid)?,
        // Its users can give it any bytes, and it is shown on a terminal.
        comm: comm.replace(char::is_control, "?"),
    })
}

/// How many events a line says were lost: `CPU:<number> [LOST <number> EVENTS]`. Without the number
/// it is one at least.
fn lost(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("CPU:")?.split_once(" [LOST ")?;
    match rest.strip_suffix("EVENTS]")? {
        "" => Some(1),
        number => number.trim_end().parse().ok(),
    }
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// In the order in which the driver has answered.
    pub(super) answered: Vec<Answered>,
    /// How many were lost before or between them.
    pub(super) lost: u64,
}

/// An instance of tracefs that has the event of one device.
pub(super) struct Trace {
    folder: PathBuf,
    pipe: Option<File>,
    /// The beginning of a line whose rest is not there yet.
    rest: Vec<u8>,
}

impl Trace {
    /// Begins to trace the requests of a device.
    ///
    /// # Errors
    ///
    /// If tracefs or the event is not there, or this is not root.
    pub(super) fn begin(tracefs: &Path, device: &str) -> Result<Self> {
        let event = tracefs.join(EVENT);
        fs::metadata(&event).with_context(|| event.display().to_string())?;
        let name = format!("vfio-mig-{}", std::process::id());
        let folder = tracefs.join("instances").join(name);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // From here on it is removed.
        let mut trace = Trace {
            folder,
            pipe: None,
            rest: Vec::new(),
        };
        trace.write("buffer_size_kb", BUFFER_KB)?;
        trace.write(&format!("{EVENT}/filter"), &format!("dev == \"{device}\""))?;
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(trace.folder.join("trace_pipe"));
        trace.pipe = Some(pipe.context("trace_pipe cannot be read")?);
        trace.write(&format!("{EVENT}/enable"), "1")?;
        Ok(trace)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let file = self.folder.join(file);
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// The events since the last time this was asked for. It does not wait for any.
    pub(super) fn events(&mut self) -> Result<Events> {
        let mut bytes = vec![0; 1 << 16];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => self.rest.extend(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("trace_pipe cannot be read"),
            }
        }
        self.take_lines()
    }

    /// The events of the lines that are complete.
    fn take_lines(&mut self) -> Result<Events> {
        let mut events = Events::default();
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        let complete: Vec<u8> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();
        for line in String::from_utf8_lossy(&complete).lines() {
            if let Some(number) = lost(line) {
                events.lost = events.lost.saturating_add(number);
            } else if line.contains(SEPARATOR) {
                events.answered.push(parse(line)?);
            }
            // Else it is the first part of the name of a thread, which has a line's end.
        }
        Ok(events)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // An instance that is read cannot be removed.
        self.pipe = None;
        // If this fails, nobody can be told. The next look at tracefs shows the folder.
        let _ = fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        Trace {
            folder: PathBuf::from("/nowhere"),
            pipe: None,
            rest: Vec::new(),
        }
    }

    #[test]
    fn events_are_read_whoever_makes_them() {
        let line = |thread: &str| {
            format!(
                "{thread}      [003] .....    12.345678: migration_arc: dev=0000:01:00.1 \
                 from=RUNNING to=STOP duration=61 ret=-5\n"
            )
        };
        for (thread, comm) in [
            ("            qemu-42", "qemu"),
            ("       CPU 0/KVM-42", "CPU 0/KVM"),
            ("          a-[1] x-42", "a-[1] x"),
            ("           <...>-42", "<...>"),
            ("         \x1b[2Jx\r-42", "?[2Jx?"),
        ] {
            let event = parse(line(thread).trim_end()).expect("an event");
            assert_eq!(event.change.to_string(), "RUNNING -> STOP");
            let found = (event.duration_us, event.errno.0, event.tid);
            assert_eq!(found, (61, 5, 42));
            assert_eq!(event.comm, comm);
        }
        assert!(parse("qemu-42 [0] : migration_arc: from=RUNNING").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn a_line_can_come_in_pieces() -> Result<()> {
        let text = "x-7 [000] ..... 1.0: migration_arc: dev=a from=- to=0x4d duration=1 ret=-22\n";
        let mut trace = trace();
        trace.rest.extend(&text.as_bytes()[..30]);
        assert_eq!(trace.take_lines()?, Events::default());
        trace.rest.extend(&text.as_bytes()[30..]);
        trace
            .rest
            .extend(b"CPU:3 [LOST 12 EVENTS]\nCPU:4 [LOST EVENTS]\n");
        let events = trace.take_lines()?;
        assert_eq!((events.answered.len(), events.lost), (1, 13));
        assert_eq!(trace.take_lines()?, Events::default());
        Ok(())
    }

    /// Whoever cannot trace learns why.
    #[test]
    fn a_host_without_the_event_is_named() -> Result<()> {
        let tracefs = tempfile::tempdir()?;
        let error = |device: &str| {
            let result = Trace::begin(tracefs.path(), device).err();
            result.map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(error("a").ends_with("migration_arc"));
        fs::create_dir_all(tracefs.path().join(EVENT))?;
        assert!(error("a").starts_with("cannot make"));
        fs::create_dir(tracefs.path().join("instances"))?;
        // Files do not appear in a folder that is none of tracefs.
        assert!(error("a").ends_with("cannot be written"), "{}", error("a"));
        Ok(())
    }
}
