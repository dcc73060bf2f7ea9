// SPDX-License-Identifier: GPL-2.0

//! `list`: all VFIO devices in a table.

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::device::{self, CanMigrate, Device};
use crate::hisi::history::Session;
use crate::root::Root;
use crate::{style, table};

/// All VFIO devices.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Sorted by their names.
    pub devices: Vec<Device>,
}

/// Reads all VFIO devices.
///
/// # Errors
///
/// If the saved copy has no files of a host.
pub fn devices(root: &Root) -> Result<Vec<Device>> {
    if root.is_saved() && !root.exists("/sys") {
        bail!(
            "{}: there is no saved copy of a host's files",
            root.path("").display()
        );
    }
    let names = device::names(root);
    names.iter().map(|name| Device::read(root, name)).collect()
}

/// Runs the command.
///
/// # Errors
///
/// If the saved copy has no files of a host.
pub fn run(root: &Root, json: bool) -> Result<Answer> {
    let list = List {
        devices: devices(root)?,
    };
    Answer::new(json, "list", &list, text, Exit::Good)
}

fn text(list: &List) -> String {
    if list.devices.is_empty() {
        return "no VFIO device\n".to_owned();
    }
    let header = [
        "DEVICE",
        "DRIVER",
        "STATE",
        "FEATURES",
        "DIRTY PAGES",
        "LAST SESSION",
    ];
    let rows = list.devices.iter().map(|device| {
        [
            device.name.clone(),
            device.driver.clone().unwrap_or_else(dash),
            state(device),
            features(device),
            device.dirty_tracking.map_or_else(dash, |by| by.to_string()),
            last_session(device),
        ]
    });
    let mut lines = table::lines([header.map(str::to_owned)].into_iter().chain(rows));
    lines[0] = style::heading(&lines[0]);
    let mut notes: Vec<&String> = list.devices.iter().flat_map(|d| &d.notes).collect();
    notes.sort();
    notes.dedup();
    let notes: String = notes.into_iter().map(|note| format!("{note}\n")).collect();
    format!("{}\n{notes}", lines.join("\n"))
}

fn dash() -> String {
    "-".to_owned()
}

fn state(device: &Device) -> String {
    match (device.can_migrate, device.state) {
        (CanMigrate::No, _) => "cannot migrate".to_owned(),
        (_, Some(state)) if device.is_closed() == Some(true) => format!("{state} (closed)"),
        (_, Some(state)) => state.to_string(),
        (_, None) => "unknown".to_owned(),
    }
}

fn features(device: &Device) -> String {
    let names: Vec<&str> = device.features.iter().map(|f| f.0.as_str()).collect();
    if names.is_empty() {
        dash()
    } else {
        names.join(",")
    }
}

/// The last session that the driver has recorded; where it records none, the last request that VFIO
/// core has.
fn last_session(device: &Device) -> String {
    let request = || {
        let last = device.last_request()?;
        let (number, change, answer) = (last.number, &last.change, last.answer());
        Some(format!("request {number}: {change}, {answer}"))
    };
    let found = match &device.attr {
        Some(attr) => attr.history.last().map(summary),
        None => request(),
    };
    found.unwrap_or_else(dash)
}

/// A session in a few words.
pub fn summary(session: &Session) -> String {
    let bytes = session
        .bytes
        .map_or(String::new(), |n| format!(", {n} bytes"));
    format!(
        "{} {}{bytes}, {}",
        session.number,
        session.direction,
        session.outcome()
    )
}
