// SPDX-License-Identifier: GPL-2.0

//! `show`: everything about a VFIO device, in words.

use std::fmt::Write;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::device::{CanMigrate, Device};
use crate::duration;
use crate::hisi::attr::{Attr, DirtyTracking};
use crate::hisi::failure::Failure;
use crate::hisi::history::Session;
use crate::request::{Outcome, Request};
use crate::root::Root;
use crate::state::{Feature, State};
use crate::style;

/// How many of the last requests are shown.
const REQUESTS: usize = 8;

/// One device.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Show {
    /// The device.
    pub device: Device,
}

/// Runs the command.
///
/// # Errors
///
/// If there is no such device.
pub fn run(root: &Root, name: &str, json: bool) -> Result<Answer> {
    let show = Show {
        device: Device::read(root, name)?,
    };
    Answer::new(json, "show", &show, |show| text(&show.device), Exit::Good)
}

/// Lines of `name: value`, below a heading.
struct Page(String);

impl Page {
    fn heading(&mut self, text: impl AsRef<str>) {
        self.0 += &style::heading(text.as_ref());
        self.0 += "\n";
    }

    fn line(&mut self, name: &str, value: impl AsRef<str>) {
        // A string can always be written to.
        let _ = writeln!(self.0, "  {:<17}{}", format!("{name}:"), value.as_ref());
    }

    fn item(&mut self, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "    {}", value.as_ref());
    }
}

fn text(device: &Device) -> String {
    let mut page = Page(String::new());
    page.heading(&device.name);
    about_device(&mut page, device);
    if let Some(attr) = &device.attr {
        about_vf(&mut page, attr);
        about_sessions(&mut page, attr);
    }
    about_requests(&mut page, device);
    for note in &device.notes {
        page.line("note", note);
    }
    page.0
}

fn about_device(page: &mut Page, device: &Device) {
    let driver = device.driver.as_deref().unwrap_or("none");
    page.line("driver", driver);
    if let Some(pf) = &device.pf {
        let driver = pf.driver.as_deref().unwrap_or("no driver");
        page.line("PF", format!("{}, bound to {driver}", pf.name));
    }
    if let Some(pci) = &device.pci {
        let revision = pci
            .revision
            .map_or(String::new(), |r| format!(", revision {r:#04x}"));
        page.line(
            "PCI ID",
            format!("{:04x}:{:04x}{revision}", pci.vendor, pci.device),
        );
    }
    let group = device.iommu_group.as_deref();
    page.line("IOMMU group", group.unwrap_or("none: VFIO needs an IOMMU"));
    page.line(
        "can migrate",
        match device.can_migrate {
            CanMigrate::Yes => "yes",
            CanMigrate::No => {
                "no: its driver offers no migration for it; `check` looks for the reason"
            }
            CanMigrate::Unknown => "unknown",
        },
    );
    if let Some(state) = device.state {
        let name = match state {
            State::Error => style::bad(state),
            other => other.to_string(),
        };
        page.line("state", format!("{name}: {}", state.meaning()));
    }
    if device.can_migrate == CanMigrate::Yes {
        page.line("features", features(device));
    }
    if let Some(by) = device.dirty_tracking {
        page.line("dirty pages", dirty_tracking(by));
    }
}

fn features(device: &Device) -> String {
    let meaning = |feature: &Feature| match feature.0.as_str() {
        Feature::STOP_COPY => "stop-copy (migrates)".to_owned(),
        Feature::P2P => "p2p (a guest may have several VFs)".to_owned(),
        Feature::PRE_COPY => "pre-copy (sends before the guest stops)".to_owned(),
        Feature::DIRTY_TRACKING => "dirty-tracking (the driver reports written pages)".to_owned(),
        other => other.to_owned(),
    };
    let all: Vec<String> = device.features.iter().map(meaning).collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

/// Who tracks dirty pages, and what that means for QEMU.
pub fn dirty_tracking(by: DirtyTracking) -> &'static str {
    match by {
        DirtyTracking::Driver => "tracked by the driver; QEMU may use type1 or iommufd",
        DirtyTracking::Iommu => "tracked by the IOMMU; QEMU must use iommufd",
        DirtyTracking::None => "tracked by nothing; QEMU must use type1, enable-migration=on",
        DirtyTracking::IommuOrNone => {
            "not tracked by the driver; no file shows whether the IOMMU does"
        }
    }
}

fn about_vf(page: &mut Page, attr: &Attr) {
    page.line(
        "engine",
        format!("{}, hardware {}", attr.engine, attr.hardware_version),
    );
    let registers = match attr.registers.as_str() {
        "vf" => "in the VF",
        "pf" => "in the PF",
        other => other,
    };
    page.line("registers", registers);
    page.line("function", attr.function.to_string());
    page.line(
        "queue pairs",
        match (attr.queue_count, attr.queue_base) {
            (Some(count), Some(base)) => format!("{count}, the first is number {base} of the PF"),
            _ => "unknown, as the VF is closed or does not answer".to_owned(),
        },
    );
    page.line(
        "guest's driver",
        match attr.driver_ready {
            Some(true) => "has set the VF up",
            Some(false) => "has not set the VF up",
            None => "unknown, as the VF is closed, asleep or being reset",
        },
    );
    page.line(
        "opened",
        match attr.device_state {
            Some(_) => "yes",
            None => "no",
        },
    );
    if let Some(failed) = &attr.failed {
        let text = format!(
            "{} failed with {}; only a reset ends that",
            failed.ends, failed.errno
        );
        page.line("in ERROR since", style::bad(text));
    }
}

fn about_sessions(page: &mut Page, attr: &Attr) {
    page.line(
        "data",
        match attr.session {
            Some(session) => {
                let valid = if attr.data_valid {
                    "complete"
                } else {
                    "incomplete"
                };
                let outdated = match attr.outdated {
                    true => ", outdated by a reset",
                    false => "",
                };
                format!(
                    "{} bytes of session {} ({}), {valid}{outdated}",
                    attr.data_size, session.number, session.direction
                )
            }
            None => "none".to_owned(),
        },
    );
    if let Some(refused) = &attr.refused {
        let text = format!("session {}, {}", refused.session, refused.refusal);
        page.line("refused", style::bad(text));
    }
    for session in &attr.history {
        about_session(page, session);
    }
    for failure in &attr.failures {
        about_failure(page, failure);
    }
}

fn about_session(page: &mut Page, session: &Session) {
    let took = session.duration().map_or(String::new(), |took| {
        format!(" after {}", duration::text(took))
    });
    let bytes = session
        .bytes
        .map_or(String::new(), |n| format!(", {n} bytes"));
    page.line(
        &format!("session {}", session.number),
        format!("{}, {}{took}{bytes}", session.direction, session.outcome()),
    );
    for arc in &session.arcs {
        page.item(match arc.succeeded() {
            true => arc.to_string(),
            false => style::bad(arc),
        });
    }
}

fn about_failure(page: &mut Page, failure: &Failure) {
    let text = format!(
        "{} failed with {} ({})",
        failure.ends,
        failure.errno,
        failure.errno.description()
    );
    page.line("failure", style::bad(text));
    let when = duration::moment(failure.time_us);
    page.item(match failure.session {
        Some(session) => format!("{when}, in session {session}"),
        None => format!("{when}, in no session"),
    });
    match &failure.registers {
        Some(registers) => {
            let values = registers.values();
            let values: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v:#x}")).collect();
            page.item(values.join(" "));
            if !registers.qm_errors.is_empty() {
                page.item(format!("the PF reports {}", registers.qm_errors.join(", ")));
            }
        }
        None => page.item("the registers are unknown: the PF was being reset"),
    }
}

/// A request in a line, by its number.
pub(super) fn request(request: &Request) -> (String, String) {
    let value = match request.outcome() {
        Outcome::Succeeded => request.to_string(),
        Outcome::UnderWay => style::doubtful(request),
        Outcome::Failed | Outcome::Undelivered => style::bad(request),
    };
    let when = duration::moment(request.time_us);
    (
        format!("request {}", request.number),
        format!("{when} {value}"),
    )
}

/// The last requests for a state that processes have made.
fn about_requests(page: &mut Page, device: &Device) {
    let Some(history) = &device.history else {
        return;
    };
    let older = history.len().saturating_sub(REQUESTS);
    if history.is_empty() {
        page.line("requests", "none since the driver was bound");
    } else if older > 0 {
        page.line("requests", format!("{older} older ones are in `history`"));
    }
    for one in &history[older..] {
        let (name, value) = request(one);
        page.line(&name, value);
    }
}
