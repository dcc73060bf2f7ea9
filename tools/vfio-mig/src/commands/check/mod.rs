// SPDX-License-Identifier: GPL-2.0

//! `check`: what a migration needs, with a verdict and a remedy for each.

mod container;
mod device;
mod kernel;
mod limits;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::cli;
use crate::device::Device;
use crate::kernel_config::KernelConfig;
use crate::root::Root;
use crate::style;

/// How a check has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be.
    Ok,
    /// It works, or may, with a restriction.
    Warning,
    /// A migration fails.
    Fail,
    /// It cannot be found out.
    Unknown,
}

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What was looked at; fixed names, for scripts.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do, unless it is as it should be.
    pub remedy: Option<String>,
}

impl Line {
    fn new(name: &str, verdict: Verdict, finding: String, remedy: Option<&str>) -> Self {
        Line {
            name: name.to_owned(),
            verdict,
            finding,
            remedy: remedy.map(str::to_owned),
        }
    }

    fn ok(name: &str, finding: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, finding.into(), None)
    }

    fn warning(name: &str, finding: impl Into<String>, remedy: impl AsRef<str>) -> Self {
        Self::new(
            name,
            Verdict::Warning,
            finding.into(),
            Some(remedy.as_ref()),
        )
    }

    fn fail(name: &str, finding: impl Into<String>, remedy: impl AsRef<str>) -> Self {
        Self::new(name, Verdict::Fail, finding.into(), Some(remedy.as_ref()))
    }

    fn unknown(name: &str, finding: impl Into<String>, remedy: impl AsRef<str>) -> Self {
        Self::new(
            name,
            Verdict::Unknown,
            finding.into(),
            Some(remedy.as_ref()),
        )
    }
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The device.
    pub device: String,
    /// Whether nothing fails.
    pub passed: bool,
    /// All checks.
    pub lines: Vec<Line>,
}

/// What the checks look at.
struct Subject<'r> {
    root: &'r Root,
    device: Device,
    config: Option<KernelConfig>,
}

/// Runs all checks.
///
/// # Errors
///
/// If there is no such device.
pub fn check(root: &Root, options: &cli::Check) -> Result<Check> {
    let subject = Subject {
        root,
        device: Device::read(root, &options.vf)?,
        config: KernelConfig::read(root),
    };
    let mut lines = kernel::lines(&subject);
    lines.extend(device::lines(&subject));
    lines.extend(container::lines(&subject));
    lines.extend(limits::lines(&subject, options.memory, options.pid));
    Ok(Check {
        device: options.vf.clone(),
        passed: lines.iter().all(|line| line.verdict != Verdict::Fail),
        lines,
    })
}

/// Runs the command.
///
/// # Errors
///
/// If there is no such device.
pub fn run(root: &Root, options: &cli::Check, json: bool) -> Result<Answer> {
    let check = check(root, options)?;
    let exit = match check.passed {
        true => Exit::Good,
        false => Exit::Bad,
    };
    Answer::new(json, "check", &check, text, exit)
}

/// The answer for people.
pub fn text(check: &Check) -> String {
    let lines: String = check.lines.iter().map(line).collect();
    let count = |verdict| {
        check
            .lines
            .iter()
            .filter(|line| line.verdict == verdict)
            .count()
    };
    format!(
        "{lines}{}: {} checks: {} fail, {} warn, {} unknown\n",
        check.device,
        check.lines.len(),
        count(Verdict::Fail),
        count(Verdict::Warning),
        count(Verdict::Unknown)
    )
}

fn line(line: &Line) -> String {
    let verdict = match line.verdict {
        Verdict::Ok => style::good("ok     "),
        Verdict::Warning => style::doubtful("warning"),
        Verdict::Fail => style::bad("FAIL   "),
        Verdict::Unknown => style::doubtful("unknown"),
    };
    let remedy = line
        .remedy
        .as_ref()
        .map_or(String::new(), |remedy| format!("{:>27}{remedy}\n", "-> "));
    format!("{verdict} {:<16}{}\n{remedy}", line.name, line.finding)
}
