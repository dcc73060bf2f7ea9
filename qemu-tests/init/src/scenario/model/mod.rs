// SPDX-License-Identifier: GPL-2.0

//! The emulated device under the kernel's own crypto drivers: if one of them does not work with the
//! device, or finds fault with it, then the device is wrong.

pub(super) mod engines;
pub(super) mod load;
pub(super) mod probe;
pub(super) mod violations;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use linux::sysfs;

use crate::expect;

const ALGORITHM: &str = "hisi-deflate-acomp";
/// Lines of this level or a more severe one are complaints (`KERN_WARNING`).
const WARNING: u32 = 4;

/// The kernel log from some point on.
struct Log(File);

impl Log {
    /// From now on.
    fn follow() -> Result<Self> {
        let mut file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("cannot open /dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Log(file))
    }

    /// The complaints since the last call.
    fn complaints(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut record = [0; 8192];
        loop {
            let length = match self.0.read(&mut record) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(found),
                // Records were overwritten before they were read; the rest is still there.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => continue,
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            };
            let record = String::from_utf8_lossy(&record[..length]);
            let (prefix, text) = record.split_once(';').unwrap_or(("", &record));
            let level = prefix
                .split(',')
                .next()
                .and_then(|number| number.parse::<u32>().ok());
            if level.is_some_and(|level| level & 7 <= WARNING) {
                found.extend(text.lines().next().map(str::to_owned));
            }
        }
    }
}

/// The paragraph of /proc/crypto about a driver.
fn algorithm(driver: &str) -> Result<Option<String>> {
    let text = sysfs::read("/proc/crypto")?;
    let line = |paragraph: &str| {
        let mut lines = paragraph.lines();
        lines.any(|line| {
            line.split_once(':')
                .is_some_and(|(key, value)| key.trim() == "driver" && value.trim() == driver)
        })
    };
    Ok(text
        .split("\n\n")
        .find(|paragraph| line(paragraph))
        .map(str::to_owned))
}

fn self_test_passed() -> Result<()> {
    let passed = || {
        let Some(paragraph) = algorithm(ALGORITHM)? else {
            return Ok(false);
        };
        let result = paragraph.lines().filter_map(|line| line.split_once(':'));
        let mut result = result.filter(|(key, _)| key.trim() == "selftest");
        match result.next().map(|(_, value)| value.trim()) {
            Some("passed") => Ok(true),
            Some("unknown") => Ok(false),
            other => bail!("expected self-test passed, got {other:?}"),
        }
    };
    expect::eventually(
        &format!("self-test of {ALGORITHM}"),
        Duration::from_secs(120),
        passed,
    )
}
