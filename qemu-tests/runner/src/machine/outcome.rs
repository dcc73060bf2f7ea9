// SPDX-License-Identifier: GPL-2.0

//! The outcome of a scenario, and its problems.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::kernel_log;
use crate::ktap::Report;

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// The results.
    pub report: Report,
    /// The results for the test to compare, see [`protocol::channel::Line::Dump`].
    pub dump: Vec<String>,
    /// Per accelerator, the model's counts of violations by kind at the end.
    pub violations: Vec<(String, Value)>,
    /// Whether the scenario came to its end, see [`protocol::channel::Request::End`].
    pub ended: bool,
    /// Whether it failed because another machine did.
    pub peer_failed: bool,
    /// The kernel's log.
    pub console: PathBuf,
    /// The control channel's lines.
    pub control: PathBuf,
    /// The kernel log of the machine's guest, if it can have one.
    pub guest_console: Option<PathBuf>,
}

impl Outcome {
    /// Prints what was tested.
    pub fn tell_points(&self) {
        for point in self.report.points() {
            let passed = if point.passed { "ok" } else { "not ok" };
            println!("{passed} {}", point.name);
        }
    }

    /// The kernel's log.
    pub fn kernel_log(&self) -> Result<String> {
        read_log(&self.console)
    }

    /// All that is wrong, whatever the scenario: failed results, an early end, a splat.
    pub fn problems(&self) -> Result<Vec<String>> {
        let mut problems = self.report.problems();
        if !self.ended {
            problems.push("the machine stopped before its scenario ended".into());
        }
        for console in std::iter::once(&self.console).chain(&self.guest_console) {
            for (line, text) in kernel_log::find(&read_log(console)?) {
                problems.push(format!("{}:{line}: {text}", console.display()));
            }
        }
        Ok(problems)
    }

    /// Violations the model counted, as `device kind count`.
    pub fn violated(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, counts) in &self.violations {
            for (kind, count) in counts.as_object().into_iter().flatten() {
                if count.as_u64() != Some(0) {
                    found.push(format!("{id} {kind} {count}"));
                }
            }
        }
        found
    }

    /// Fails the test with everything one needs to look further.
    pub fn expect_passed(&self) -> Result<()> {
        let problems = self.problems()?;
        if !problems.is_empty() {
            bail!(
                "{}\nkernel log: {}\ncontrol channel: {}\nthe kernel log's end:\n{}",
                problems.join("\n"),
                self.console.display(),
                self.control.display(),
                tail(&self.console, 12)
            );
        }
        Ok(())
    }

    /// As [`Self::expect_passed`], and the model saw nothing a driver must not do.
    pub fn expect_clean(&self) -> Result<()> {
        self.expect_passed()?;
        if self.violations.is_empty() {
            bail!("the model was not asked for its violations");
        }
        let violated = self.violated();
        if !violated.is_empty() {
            bail!("violations: {}", violated.join(", "));
        }
        Ok(())
    }
}

fn read_log(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("no kernel log {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a file.
pub(super) fn tail(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
