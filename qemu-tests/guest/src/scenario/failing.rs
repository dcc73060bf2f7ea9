// SPDX-License-Identifier: GPL-2.0

//! Memory that runs out in the kernel at a chosen moment.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::control;
use crate::sysfs;

const FAIL_NTH: &str = "/proc/thread-self/fail-nth";
/// More allocations than anything here makes.
const NEVER: u64 = 1_000_000;

/// Something that the kernel makes, with files in debugfs.
pub(super) trait Making {
    /// Tries to make it.
    fn make(&self);

    /// Whether it is there.
    fn is_made(&self) -> bool;

    /// Whether all of its files are there, and say what they must.
    fn is_whole(&self) -> Result<bool>;

    /// Removes it, and sees that nothing of it is left.
    fn remove(&self) -> Result<()>;
}

/// Whether the kernel can fail on purpose.
pub(super) fn is_possible() -> bool {
    Path::new(FAIL_NTH).exists()
}

/// Makes it with the n-th allocation failing. Says whether it was made, and how many allocations
/// were still to come before the one that should fail.
fn make_failing(what: &impl Making, nth: u64) -> Result<(bool, u64)> {
    let mut fail = OpenOptions::new().read(true).write(true).open(FAIL_NTH)?;
    fail.write_all(nth.to_string().as_bytes())?;
    what.make();
    let mut left = [0; 16];
    let length = fail.read_at(&mut left, 0)?;
    fail.write_all(b"0")?;
    let left = std::str::from_utf8(&left[..length])?.trim();
    let left = left.parse().context("fail-nth is no number")?;
    Ok((what.is_made(), left))
}

/// Has each allocation fail that is made for the files. Something without files is all that may
/// come of it, and it goes without a trace.
///
/// The files come late, so this goes from the last allocation backwards until it is not made any
/// more. It goes no further, and does not open what was made: the kernel's own code warns, or
/// crashes, where its earlier allocations fail.
pub(super) fn from_the_last(what: &impl Making) -> Result<()> {
    // The report of each failure looks like a crash.
    sysfs::write("/sys/kernel/debug/failslab/verbose", "0")?;
    // Ordinary allocations wait for memory, and these are the ones to fail.
    sysfs::write("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")?;
    let (made, left) = make_failing(what, NEVER)?;
    ensure!(made, "it was not made though nothing failed");
    ensure!(what.is_whole()?, "it is not whole though nothing failed");
    what.remove()?;
    let mut without_files = 0;
    for nth in (1..=NEVER - left).rev() {
        let (made, _) = make_failing(what, nth)?;
        if made && !what.is_whole()? {
            without_files += 1;
        }
        what.remove()?;
        if !made && without_files > 0 {
            break;
        }
    }
    control::line(&format!("# made without files: {without_files}"));
    ensure!(without_files > 0, "no allocation for a file ever failed");
    Ok(())
}
