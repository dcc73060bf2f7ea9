// SPDX-License-Identifier: GPL-2.0

//! The fixture's methods by which weaknesses are provoked and seen.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use control::ZIP0;
use serde_json::Value;
use vfio_client::{BAR2, DataFile, Device, State};

use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;

/// The faults are those of VF1.
pub(super) const VF1: &str = "fn1";

impl Fixture {
    /// How long a thread may take before it counts as lost. Ours gets the time that a busy machine
    /// needs; with the C driver it does not end, however long one waits.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(if self.host.driver.is_rust() { 60 } else { 5 })
    }

    /// A debug file of VF1.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        debugfs::device(self.host.vfs[0].name()).join(name)
    }

    /// The content of a debug file of the driver.
    pub(super) fn debug(&self, name: &str) -> io::Result<String> {
        debugfs::content(&self.file("migration/hisi_acc").join(name))
    }
}

/// A device that is about to be given a stream.
pub(super) fn resuming(device: &Device) -> Result<DataFile> {
    if device.state()? != State::Running {
        device.reset()?;
    }
    device.set_state_with_file(State::Resuming)
}

/// The stream with other bytes at `offset`.
pub(super) fn with(stream: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    stream[offset..offset + bytes.len()].copy_from_slice(bytes);
    stream
}

/// A register of a device that no VM uses.
pub(super) fn register(device: &Device, offset: usize) -> Result<u32> {
    let mut word = [0; 4];
    device.read_region(BAR2, offset as u64, &mut word)?;
    Ok(u32::from_le_bytes(word))
}

fn count(function: &str, path: &[&str]) -> Result<u64> {
    let counters = ZIP0.get("counters")?;
    let mut value = counters
        .get(function)
        .with_context(|| format!("the device does not count for {function}"))?;
    for key in path {
        match value.get(key) {
            Some(inner) => value = inner,
            // A command that was never given has no count.
            None => return Ok(0),
        }
    }
    value
        .as_u64()
        .with_context(|| format!("{path:?} is no number"))
}

/// How many commands of a name the mailbox of VF1 has got.
pub(super) fn commands(name: &str) -> Result<u64> {
    count(VF1, &["mailbox", name])
}

/// How many commands the mailbox of VF1 has got.
pub(super) fn all_commands() -> Result<u64> {
    let counters = ZIP0.get("counters")?;
    let mailbox = counters[VF1]["mailbox"].as_object();
    let mailbox = mailbox.context("the device does not count mailbox commands")?;
    Ok(mailbox.values().filter_map(Value::as_u64).sum())
}

/// How many doorbells of VF1 were rung.
pub(super) fn doorbells() -> Result<u64> {
    count(VF1, &["doorbells"])
}

/// How often the device has counted a violation.
pub(super) fn violations(kind: &str) -> Result<u64> {
    let found = ZIP0.violations()?;
    Ok(found
        .into_iter()
        .find(|(name, _)| name == kind)
        .map_or(0, |(_, count)| count))
}
