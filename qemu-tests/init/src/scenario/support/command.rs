// SPDX-License-Identifier: GPL-2.0

//! An operator's commands, on a host with a root of Debian.

use std::ffi::OsStr;
use std::fmt::Display;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use control::show;

/// libvirt says that there is no polkit, which is true and does not matter.
const NO_POLKIT: &str = "Authorization not available.";

/// Where Debian has its programs.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin";

/// What a command has complained about.
pub(crate) fn complaints(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| !line.starts_with(NO_POLKIT));
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.join("; ")
}

/// Shows a command and runs it; its line, and what became of it.
pub(crate) fn execute<W: AsRef<OsStr> + Display>(words: &[W]) -> Result<(String, Output)> {
    let (program, arguments) = words.split_first().context("no command")?;
    let texts: Vec<String> = words.iter().map(W::to_string).collect();
    let line = texts.join(" ");
    show(format!("# {line}"));
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .env("HOME", "/root")
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    Ok((line, output))
}

/// Runs a command that has to succeed; what it prints.
pub(crate) fn run<W: AsRef<OsStr> + Display>(words: &[W]) -> Result<String> {
    let (line, output) = execute(words)?;
    let status = output.status;
    ensure!(
        status.success(),
        "{line}: {status}: {}",
        complaints(&output)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
