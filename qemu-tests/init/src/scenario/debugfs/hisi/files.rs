// SPDX-License-Identifier: GPL-2.0

//! The driver's files of one VF, as a test reads them. What they say is also sent to the host,
//! which holds it against their documentation.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use linux::sysfs::Function;
use rustix::io::Errno;
use serde_json::Value;

use crate::expect::{equal, refused};
use crate::scenario::support::debugfs;

/// All files, with their modes.
pub(super) const ALL: [(&str, u32); 7] = [
    ("attr", 0o444),
    ("cmd_state", 0o444),
    ("data", 0o444),
    ("debug", 0o600),
    ("dev_data", 0o444),
    ("match", 0o444),
    ("migf_data", 0o444),
];

/// Sends to the host what was seen of a file, `text` or `errno` or `mode`; once each.
pub(super) fn observe(file: &Path, kind: &str, value: impl Into<Value>) {
    static SENT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let line = format!("{} {kind} {}", file.display(), value.into());
    let new = SENT
        .lock()
        .is_ok_and(|mut sent| sent.get_or_insert_with(HashSet::new).insert(line.clone()));
    if new {
        control::dump(line);
    }
}

/// Reads a file, for the test and for the host.
pub(super) fn read_observed(path: &Path) -> io::Result<String> {
    let result = debugfs::content(path);
    match &result {
        Ok(text) => observe(path, "text", text.as_str()),
        Err(error) => observe(path, "errno", error.raw_os_error()),
    }
    result
}

/// The files of one VF.
pub(super) struct Files(pub(super) PathBuf);

impl Files {
    pub(super) fn of(vf: &Function) -> Self {
        Files(debugfs::device(vf.name()).join("migration/hisi_acc"))
    }

    /// The file `state` of the VFIO core.
    pub(super) fn state(&self) -> Result<String> {
        let path = self.0.with_file_name("state");
        Ok(read_observed(&path)?.trim_end().to_owned())
    }

    pub(super) fn try_read(&self, name: &str) -> io::Result<String> {
        read_observed(&self.0.join(name))
    }

    pub(super) fn read(&self, name: &str) -> Result<String> {
        self.try_read(name)
            .with_context(|| format!("reading {name}"))
    }

    /// Reading the file must fail.
    pub(super) fn unreadable(&self, name: &str, errno: Errno) -> Result<()> {
        refused(&format!("reading {name}"), self.try_read(name), errno)
    }

    /// Writes a command, by one write as `echo` does.
    pub(super) fn command(&self, command: &str) -> io::Result<()> {
        let path = self.0.join("debug");
        let mut file = File::options().write(true).open(&path)?;
        file.write_all(format!("{command}\n").as_bytes())
            .inspect_err(|error| observe(&path, "errno", error.raw_os_error()))
    }

    pub(super) fn does(&self, command: &str) -> Result<()> {
        self.command(command)
            .with_context(|| format!("command {command}"))
    }

    pub(super) fn refuses(&self, command: &str, errno: Errno) -> Result<()> {
        refused(
            &format!("command {command:?}"),
            self.command(command),
            errno,
        )
    }

    /// The lines of `attr`, taken apart.
    pub(super) fn attributes(&self) -> Result<Vec<(String, String)>> {
        let text = self.read("attr")?;
        let pair = |line: &str| {
            let (key, value) = line
                .split_once(": ")
                .with_context(|| format!("line {line:?}"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        text.lines().map(pair).collect()
    }

    /// All values of a key in `attr`, in order.
    pub(super) fn values(&self, key: &str) -> Result<Vec<String>> {
        let lines = self.attributes()?.into_iter();
        Ok(lines
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value)
            .collect())
    }

    /// The last value of a key in `attr`.
    pub(super) fn value(&self, key: &str) -> Result<String> {
        let last = self.values(key)?.pop();
        last.with_context(|| format!("attr has no {key}"))
    }

    /// `attr` has these values among its own.
    pub(super) fn attributes_are(&self, expected: &[(&str, &str)]) -> Result<()> {
        expected.iter().try_for_each(|(key, value)| {
            equal(&format!("{key} in attr"), self.value(key)?.as_str(), value)
        })
    }

    pub(super) fn no_data(&self) -> Result<()> {
        self.unreadable("data", Errno::NODATA)
    }
}

/// The word of a line of `history` or `failure` that starts with `key=`, without that.
pub(super) fn word<'l>(line: &'l str, key: &str) -> Result<&'l str> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .with_context(|| format!("no {key} in {line:?}"))
}

/// The lines that `seq_hex_dump` makes of `bytes`.
pub(super) fn dump(prefix: &str, bytes: &[u8]) -> Vec<String> {
    let line = |(number, bytes): (usize, &[u8])| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{prefix}{:08x}: {}", number * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

/// The lines of a file.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
