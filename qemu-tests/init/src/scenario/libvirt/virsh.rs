// SPDX-License-Identifier: GPL-2.0

//! Commands of an operator.

use anyhow::{Result, bail};
use control::show;

pub(super) use crate::scenario::support::command::{PATH, run};
use crate::scenario::support::command::{complaints, execute};

fn virsh_with<'w>(words: &[&'w str]) -> Vec<&'w str> {
    [&["virsh", "-q"], words].concat()
}

/// Runs a command of virsh that has to succeed; what it prints.
pub(super) fn virsh(words: &[&str]) -> Result<String> {
    run(&virsh_with(words))
}

/// Runs a command of virsh that has to fail; its error.
pub(super) fn fails(words: &[&str]) -> Result<String> {
    let (line, output) = execute(&virsh_with(words))?;
    if output.status.success() {
        bail!("{line}: it has not failed");
    }
    let error = complaints(&output);
    show(&error);
    Ok(error)
}
