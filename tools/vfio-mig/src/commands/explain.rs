// SPDX-License-Identifier: GPL-2.0

//! `explain`: from what `attr`, and `history` of VFIO core, show after a failed migration to cause and
//! remedy.

use anyhow::{Error, Result, anyhow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::device::{CanMigrate, Device};
use crate::hisi::attr::Attr;
use crate::hisi::failure::Failure;
use crate::knowledge::{Knowledge, Symptom, When, plain};
use crate::request::{Outcome, Request};
use crate::root::Root;
use crate::{duration, style};

/// How many of the last requests that have failed are shown.
const REQUESTS: usize = 4;

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
/// If there is no such device, or it has neither `attr` nor `history`.
pub fn explain(root: &Root, name: &str) -> Result<Explain> {
    let device = Device::read(root, name)?;
    if device.attr.is_none() && device.history.is_none() {
        return Err(no_record(&device));
    }
    let knowledge = Knowledge::load()?;
    let mut findings = Vec::new();
    let mut others = Vec::new();
    for symptom in &knowledge.symptoms {
        match &symptom.when {
            Some(when) => findings.extend(shown_by(&device, &knowledge, symptom, when)),
            None => others.push(other(symptom)),
        }
    }
    Ok(Explain {
        device: name.to_owned(),
        failed: device.attr.as_ref().is_some_and(has_failed) || !findings.is_empty(),
        findings,
        others,
    })
}

/// A row of the table, if the files of the device show it.
fn shown_by(
    device: &Device,
    knowledge: &Knowledge,
    symptom: &Symptom,
    when: &When,
) -> Option<Finding> {
    match when.request {
        Some(outcome) => requests(device, symptom, outcome),
        None => finding(device, knowledge, symptom, when),
    }
}

fn has_failed(attr: &Attr) -> bool {
    !attr.failures.is_empty() || is_refused(attr) || attr.failed.is_some()
}

/// The requests of which this came.
fn requests(device: &Device, symptom: &Symptom, outcome: Outcome) -> Option<Finding> {
    // The driver's own record says more.
    let is_told = outcome == Outcome::Failed && device.attr.as_ref().is_some_and(has_failed);
    let matters = |request: &&Request| {
        request.outcome() == outcome && (outcome != Outcome::UnderWay || request.hangs())
    };
    let found: Vec<&Request> = device.history.as_ref()?.iter().filter(matters).collect();
    if is_told || found.is_empty() {
        return None;
    }
    let line = |request: &&Request| {
        let when = duration::moment(request.time_us);
        format!("request {} at {when}: {request}", request.number)
    };
    let last = &found[found.len().saturating_sub(REQUESTS)..];
    Some(row(
        symptom,
        last.iter().map(line).collect(),
        plain(&symptom.remedy),
    ))
}

fn row(symptom: &Symptom, shown: Vec<String>, remedy: String) -> Finding {
    Finding {
        id: symptom.id.clone(),
        shown,
        qemu: plain(&symptom.qemu),
        cause: plain(&symptom.cause),
        remedy,
    }
}

fn no_record(device: &Device) -> Error {
    let (name, notes) = (&device.name, device.notes.join("; "));
    match device.can_migrate {
        CanMigrate::No => anyhow!("{name} cannot migrate; `check` looks for the reason"),
        _ if !notes.is_empty() => anyhow!("{name}: {notes}"),
        _ => anyhow!(
            "{name}: neither its driver, {}, nor vfio.ko records failed migrations; see the kernel's \
             log",
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
    (when.refused != Some(true) || is_refused(attr))
        && (when.failure.is_empty() || failures(when, attr).next().is_some())
        && (!when.cut_off || is_open && attr.history.iter().any(|session| session.was_cut_off()))
        && when
            .driver_ready
            .is_none_or(|ready| is_open && attr.driver_ready == Some(ready))
        && when.tracking.is_none_or(|by| attr.dirty_tracking == by)
        && (!when.no_failure || !has_failed(attr))
}

fn finding(
    device: &Device,
    knowledge: &Knowledge,
    symptom: &Symptom,
    when: &When,
) -> Option<Finding> {
    let attr = device.attr.as_ref()?;
    let requests = device.history.as_deref().unwrap_or_default();
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
        let (line, more) = failed_arc(knowledge, failure, requests);
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
    Some(row(symptom, shown, remedies.join("; ")))
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
fn failed_arc(
    knowledge: &Knowledge,
    failure: &Failure,
    requests: &[Request],
) -> (String, Option<String>) {
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
    // The driver does not know the process.
    let mut during = requests
        .iter()
        .filter(|request| request.was_under_way_at(failure.time_us));
    if let Some(request) = during.next_back() {
        shown += &format!("; request {} by {}", request.number, request.requester());
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
