// SPDX-License-Identifier: GPL-2.0

//! Commands of an operator.

use std::ffi::OsStr;
use std::fmt::Display;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use control::show;

/// Says that there is no polkit, which is true and does not matter.
const NO_POLKIT: &str = "Authorization not available.";

/// Where Debian has its programs.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin";

fn complaints(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| !line.starts_with(NO_POLKIT));
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.join("; ")
}

fn execute<W: AsRef<OsStr> + Display>(words: &[W]) -> Result<(String, Output)> {
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
pub(super) fn run<W: AsRef<OsStr> + Display>(words: &[W]) -> Result<String> {
    let (line, output) = execute(words)?;
    let status = output.status;
    ensure!(
        status.success(),
        "{line}: {status}: {}",
        complaints(&output)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

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
