// SPDX-License-Identifier: GPL-2.0

//! `list --prometheus`: metrics for the textfile collector of node_exporter.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::answer::{Answer, Exit};
use crate::commands::list;
use crate::device::{CanMigrate, Device};
use crate::request::Outcome;
use crate::root::Root;
use crate::state::State;

/// A metric with its samples: labels and value.
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Metric {
    /// A metric with the samples of all devices.
    fn new(
        name: &'static str,
        help: &'static str,
        devices: &[Device],
        samples: impl Fn(&Device) -> Vec<(Vec<(&'static str, String)>, f64)>,
    ) -> Self {
        let samples = devices.iter().flat_map(|device| {
            samples(device).into_iter().map(|(mut labels, value)| {
                labels.insert(0, ("device", device.name.clone()));
                (labels, value)
            })
        });
        Metric {
            name,
            help,
            kind: "gauge",
            samples: samples.collect(),
        }
    }

    fn text(&self) -> String {
        let Metric {
            name, help, kind, ..
        } = self;
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in &self.samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
                .collect();
            // A string can always be written to.
            let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
        }
        text
    }
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn alone(value: Option<f64>) -> Vec<(Vec<(&'static str, String)>, f64)> {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn metrics(devices: &[Device]) -> Vec<Metric> {
    let info = |device: &Device| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let labels = vec![
            ("driver", text(&device.driver)),
            (
                "pf",
                device
                    .pf
                    .as_ref()
                    .map_or(String::new(), |pf| pf.name.clone()),
            ),
            (
                "dirty_tracking",
                device
                    .dirty_tracking
                    .map_or(String::new(), |by| by.to_string()),
            ),
        ];
        vec![(labels, 1.0)]
    };
    let can_migrate = |device: &Device| match device.can_migrate {
        CanMigrate::Unknown => Vec::new(),
        known => alone(Some(flag(known == CanMigrate::Yes))),
    };
    let state = |device: &Device| {
        let Some(current) = device.state else {
            return Vec::new();
        };
        State::ALL
            .into_iter()
            .map(|state| (vec![("state", state.to_string())], flag(state == current)))
            .collect()
    };
    let last = |device: &Device| device.attr.as_ref()?.history.last().cloned();
    vec![
        Metric::new("vfio_mig_device_info", "A VFIO device.", devices, info),
        Metric::new(
            "vfio_mig_can_migrate",
            "Whether the device's driver offers migration.",
            devices,
            can_migrate,
        ),
        Metric::new(
            "vfio_mig_state",
            "1 for the state of the migration protocol that the device is in.",
            devices,
            state,
        ),
        Metric::new(
            "vfio_mig_last_session_number",
            "Number of the last session since the device was bound.",
            devices,
            |device| alone(last(device).map(|session| session.number as f64)),
        ),
        Metric::new(
            "vfio_mig_last_session_begin_seconds",
            "When the last session began, since 1970.",
            devices,
            |device| alone(last(device).map(|session| session.begin_us as f64 / 1e6)),
        ),
        Metric::new(
            "vfio_mig_last_session_duration_seconds",
            "How long the last session took, if it has ended.",
            devices,
            |device| alone(last(device).and_then(|s| Some(s.duration()?.as_secs_f64()))),
        ),
        Metric::new(
            "vfio_mig_last_session_refused",
            "Whether the data of the last session were refused.",
            devices,
            |device| alone(last(device).map(|session| flag(session.refused.is_some()))),
        ),
        Metric::new(
            "vfio_mig_failed_arcs",
            "Arcs that have failed since the device was opened, up to four.",
            devices,
            |device| alone(device.attr.as_ref().map(|attr| attr.failures.len() as f64)),
        ),
        Metric::new(
            "vfio_mig_last_request_number",
            "Number of the last request for a state since the device was bound.",
            devices,
            |device| alone(device.last_request().map(|last| last.number as f64)),
        ),
        Metric::new(
            "vfio_mig_last_request_begin_seconds",
            "When the last request was made, since 1970.",
            devices,
            |device| alone(device.last_request().map(|last| last.time_us as f64 / 1e6)),
        ),
        Metric::new(
            "vfio_mig_last_request_duration_seconds",
            "How long the driver took for the last request, or has taken so far.",
            devices,
            |device| {
                alone(
                    device
                        .last_request()
                        .map(|last| last.duration().as_secs_f64()),
                )
            },
        ),
        Metric::new(
            "vfio_mig_requests_under_way",
            "Requests that the driver is busy with.",
            devices,
            |device| alone(count(device, &[Outcome::UnderWay])),
        ),
        Metric::new(
            "vfio_mig_failed_requests",
            "Requests that have failed, of the last 32.",
            devices,
            |device| alone(count(device, &[Outcome::Failed, Outcome::Undelivered])),
        ),
    ]
}

/// How many of the requests that are kept had one of these outcomes.
fn count(device: &Device, outcomes: &[Outcome]) -> Option<f64> {
    let requests = device.history.as_ref()?.iter();
    let counted = requests.filter(|request| outcomes.contains(&request.outcome()));
    Some(counted.count() as f64)
}

/// Runs the command.
///
/// # Errors
///
/// If there are no files of a host, or the file cannot be written.
pub fn run(root: &Root, output: Option<&Path>) -> Result<Answer> {
    let devices = list::devices(root)?;
    let text: String = metrics(&devices).iter().map(Metric::text).collect();
    let text = match output {
        Some(file) => {
            replace(file, &text).with_context(|| file.display().to_string())?;
            String::new()
        }
        None => text,
    };
    Ok(Answer {
        text,
        exit: Exit::Good,
    })
}

/// Replaces a file at once, so that the collector never reads a part of it.
fn replace(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt;

    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut new = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(text.as_bytes())?;
    // The collector has another user.
    let readable = PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(readable)?;
    new.persist(file)?;
    Ok(())
}
