// SPDX-License-Identifier: GPL-2.0

//! Allocations of the kernel that fail at a chosen moment.

use anyhow::{Result, ensure};
use control::Report;

use crate::fail_nth::{self, Faults};

/// Runs a test point that injects faults, unless the kernel cannot.
pub(crate) fn point(report: &mut Report, name: &str, test: impl FnOnce() -> Result<()>) {
    if fail_nth::is_there() {
        report.point(name, test);
    } else {
        report.skip(name, "the kernel has no fault injection");
    }
}

/// Something that the kernel makes, with files in debugfs.
pub(crate) trait Creatable {
    /// Tries to make it.
    fn make(&self);

    /// Whether it is there.
    fn is_made(&self) -> bool;

    /// Whether all of its files are there, and say what they must.
    fn is_whole(&self) -> Result<bool>;

    /// Removes it, and sees that nothing of it is left.
    fn remove(&self) -> Result<()>;
}

/// Makes each allocation fail that is made for the files. Something without files is all that may
/// come of it, and it goes without a trace.
///
/// The files come late, so this goes from the last allocation backwards until it is not made any
/// more. It goes no further, and does not open what was made: the kernel's own code warns, or
/// crashes, where its earlier allocations fail.
pub(crate) fn fail_each_allocation_backwards(what: &impl Creatable) -> Result<()> {
    let mut faults = Faults::of_allocations()?;
    let ((), allocations) = faults.count(|| what.make())?;
    ensure!(
        what.is_made(),
        "it was not made though no allocation failed"
    );
    ensure!(
        what.is_whole()?,
        "it is not whole though no allocation failed"
    );
    what.remove()?;
    let mut without_files = 0;
    for nth in (1..=allocations).rev() {
        faults.nth(nth, || what.make())?;
        let made = what.is_made();
        if made && !what.is_whole()? {
            without_files += 1;
        }
        what.remove()?;
        if !made && without_files > 0 {
            break;
        }
    }
    control::note(format!("made without files: {without_files}"));
    ensure!(without_files > 0, "no allocation for a file ever failed");
    Ok(())
}
