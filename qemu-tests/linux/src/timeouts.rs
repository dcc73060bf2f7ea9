// SPDX-License-Identifier: GPL-2.0

//! How long to wait for what has to come. Limits are written down as they are with the normal
//! kernel; with one that checks itself everything takes longer.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

static SLOWNESS: OnceLock<u32> = OnceLock::new();

/// Takes over `slowness=` from the command line: the runner knows the kernel.
pub fn take_over(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let times = words.find_map(|word| word.strip_prefix("slowness="));
    let times = times.context("no slowness= on the kernel command line")?;
    let times = times.parse().context("slowness= is no number")?;
    ensure!(SLOWNESS.set(times).is_ok(), "slowness= is known already");
    Ok(())
}

/// How many times longer than with the normal kernel everything takes.
pub fn slowness() -> u32 {
    *SLOWNESS.get().unwrap_or(&1)
}

/// The end of a limit.
pub struct Deadline {
    /// How long it is on this machine.
    pub limit: Duration,
    at: Instant,
}

impl Deadline {
    /// The end of a limit that begins now.
    pub fn after(limit: Duration) -> Self {
        let limit = limit * slowness();
        let at = Instant::now() + limit;
        Deadline { limit, at }
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        Instant::now() > self.at
    }
}

/// Waits until `condition` holds.
pub fn eventually(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Deadline::after(timeout);
    while !condition()? {
        let limit = deadline.limit;
        ensure!(!deadline.is_over(), "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_longer_on_a_slower_machine() {
        let limit = Duration::from_secs(10);
        assert_eq!(Deadline::after(limit).limit, limit);
        take_over("slowness=8 scenario=uapi").unwrap();
        assert_eq!(Deadline::after(limit).limit, 8 * limit);
        assert!(take_over("scenario=uapi").is_err());
    }
}
