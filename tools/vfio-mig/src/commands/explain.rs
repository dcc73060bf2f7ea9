// SPDX-License-Identifier: GPL-2.0

//! `explain`: from what `attr` shows after a failed migration to cause and remedy.

use anyhow::{Error, Result, anyhow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::device::{CanMigrate, Device};
use crate::hisi::attr::Attr;
use crate::hisi::failure::Failure;
use crate::knowledge::{Knowledge, Symptom, When, plain};
use crate::root::Root;
use crate::style;

/// A cause that the files show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Fixed name of the row of the table.
    pub id: String,
    /// What the files show.
    pub shown: Vec<String>,
    /// What QEMU shows then.
    pub qemu: String,
    /// The cause.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// A cause that these files cannot show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Other {
    /// Fixed name of the row of the table.
    pub id: String,
    /// What QEMU shows then.
    pub qemu: String,
    /// Where to look.
    pub file: String,
    /// The cause.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// The device.
    pub device: String,
    /// Whether a failure of the device is recorded.
    pub failed: bool,
    /// What its files show, the surest first.
    pub findings: Vec<Finding>,
    /// What else can be the cause.
    pub others: Vec<Other>,
}

/// Explains what the files of a device show.
///
/// # Errors
///
/// If there is no such device, or it has no `attr`.
pub fn explain(root: &Root, name: &str) -> Result<Explain> {
    let device = Device::read(root, name)?;
    let Some(attr) = &device.attr else {
        return Err(no_attr(&device));
    };
    let knowledge = Knowledge::load()?;
    let mut findings = Vec::new();
    let mut others = Vec::new();
    for symptom in &knowledge.symptoms {
        match &symptom.when {
            Some(when) => findings.extend(finding(&knowledge, symptom, when, attr)),
            None => others.push(other(symptom)),
        }
    }
    let failed = !attr.failures.is_empty() || is_refused(attr) || attr.failed.is_some();
    Ok(Explain {
        device: name.to_owned(),
        failed: failed || !findings.is_empty(),
        findings,
        others,
    })
}

fn no_attr(device: &Device) -> Error {
    let (name, notes) = (&device.name, device.notes.join("; "));
    match device.can_migrate {
        CanMigrate::No => anyhow!("{name} cannot migrate; `check` looks for the reason"),
        _ if !notes.is_empty() => anyhow!("{name}: {notes}"),
        _ => anyhow!(
            "{name}: its driver, {}, records nothing about failed migrations; see the kernel's log",
            device.driver.as_deref().unwrap_or("none")
        ),
    }
}

/// Runs the command.
///
/// # Errors
///
/// As [`explain`].
pub fn run(root: &Root, name: &str, json: bool) -> Result<Answer> {
    let explain = explain(root, name)?;
    let exit = match explain.failed {
        false => Exit::Good,
        true => Exit::Bad,
    };
    Answer::new(json, "explain", &explain, text, exit)
}

fn is_refused(attr: &Attr) -> bool {
    attr.refused.is_some() || attr.history.iter().any(|session| session.refused.is_some())
}

/// The failed arcs that a condition is about: those that it names. A refusal is a failed arc too,
/// but no failure of the hardware.
fn failures<'a>(when: &'a When, attr: &'a Attr) -> impl Iterator<Item = &'a Failure> {
    attr.failures.iter().filter(|failure| {
        let is_named = when.failure.contains(&failure.ends.to_string());
        let session = attr
            .history
            .iter()
            .find(|s| Some(s.number) == failure.session);
        let is_refusal = session.is_some_and(|session| session.refused.is_some());
        is_named && !(when.refused == Some(false) && is_refusal)
    })
}

fn holds(when: &When, attr: &Attr) -> bool {
    let is_open = attr.device_state.is_some();
    let has_failed = !attr.failures.is_empty() || is_refused(attr) || attr.failed.is_some();
    (when.refused != Some(true) || is_refused(attr))
        && (when.failure.is_empty() || failures(when, attr).next().is_some())
        && (!when.cut_off || is_open && attr.history.iter().any(|session| session.was_cut_off()))
        && when
            .driver_ready
            .is_none_or(|ready| is_open && attr.driver_ready == Some(ready))
        && when.tracking.is_none_or(|by| attr.dirty_tracking == by)
        && (!when.no_failure || !has_failed)
}

fn finding(knowledge: &Knowledge, symptom: &Symptom, when: &When, attr: &Attr) -> Option<Finding> {
    if !holds(when, attr) {
        return None;
    }
    let mut shown = Vec::new();
    let mut remedies = vec![plain(&symptom.remedy)];
    if when.refused == Some(true) {
        let (lines, more) = refusals(knowledge, attr);
        shown.extend(lines);
        remedies.extend(more);
    }
    for failure in failures(when, attr) {
        let (line, more) = failed_arc(knowledge, failure);
        shown.push(line);
        remedies.extend(more);
    }
    if when.cut_off {
        let sessions = attr.history.iter().filter(|session| session.was_cut_off());
        shown.extend(sessions.map(|session| {
            format!(
                "session {} ({}) was cut off",
                session.number, session.direction
            )
        }));
    }
    if let Some(ready) = when.driver_ready {
        shown.push(format!(
            "driver ready: {}",
            if ready { "yes" } else { "no" }
        ));
    }
    if let Some(by) = when.tracking {
        shown.push(format!("dirty tracking: {by}"));
    }
    remedies.dedup();
    Some(Finding {
        id: symptom.id.clone(),
        shown,
        qemu: plain(&symptom.qemu),
        cause: plain(&symptom.cause),
        remedy: remedies.join("; "),
    })
}

/// What was refused, and what to do about these fields.
fn refusals(knowledge: &Knowledge, attr: &Attr) -> (Vec<String>, Vec<String>) {
    let sessions = attr
        .history
        .iter()
        .filter_map(|session| Some((session.number, session.refused.as_ref()?)));
    let mut all: Vec<_> = sessions.collect();
    if let Some(last) = &attr.refused {
        all.push((last.session, &last.refusal));
    }
    all.dedup();
    let row = |name: &str| knowledge.field(name);
    let shown = all.iter().map(|(number, refusal)| {
        let cause =
            row(&refusal.field).map_or(String::new(), |row| format!(": {}", plain(&row.cause)));
        format!("session {number} was refused for {refusal}{cause}")
    });
    let remedies = all
        .iter()
        .filter_map(|(_, refusal)| Some(plain(&row(&refusal.field)?.remedy)));
    (shown.collect(), remedies.collect())
}

/// What an arc's failure shows, and what to do about it.
fn failed_arc(knowledge: &Knowledge, failure: &Failure) -> (String, Option<String>) {
    let mut shown = format!(
        "{} failed with {} ({})",
        failure.ends,
        failure.errno,
        failure.errno.description()
    );
    let row = knowledge.registers_of(failure);
    if let Some(row) = row {
        shown += &format!("; {}: {}", plain(&row.shows), plain(&row.cause));
    }
    if let Some(registers) = failure
        .registers
        .as_ref()
        .filter(|r| !r.qm_errors.is_empty())
    {
        shown += &format!("; qm_errors: {}", registers.qm_errors.join(", "));
    }
    (shown, row.map(|row| plain(&row.remedy)))
}

fn other(symptom: &Symptom) -> Other {
    Other {
        id: symptom.id.clone(),
        qemu: plain(&symptom.qemu),
        file: plain(&symptom.file),
        cause: plain(&symptom.cause),
        remedy: plain(&symptom.remedy),
    }
}

/// The answer for people.
pub fn text(explain: &Explain) -> String {
    let mut text = String::new();
    if explain.findings.is_empty() {
        text += &style::good(format!("{}: no failure is recorded", explain.device));
        text += "\n";
    }
    for finding in &explain.findings {
        text += &style::bad(format!("{}: {}", explain.device, finding.cause));
        text += "\n";
        for shown in &finding.shown {
            text += &format!("  shown:  {shown}\n");
        }
        text += &format!("  QEMU:   {}\n  remedy: {}\n", finding.qemu, finding.remedy);
    }
    text += "If QEMU says something else:\n";
    for other in &explain.others {
        text += &format!(
            "  {}\n    look at {}\n    cause: {}; {}\n",
            other.qemu, other.file, other.cause, other.remedy
        );
    }
    text
}
