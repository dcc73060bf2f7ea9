// SPDX-License-Identifier: GPL-2.0

//! `report`: copies the files that matter into a folder.
//!
//! The folder has the structure that [`Root`] reads, the answers of the other commands as text, and
//! the lines of the kernel's log about VFIO. Addresses of the guest's memory are withheld unless
//! they are asked for.

mod copy;
mod files;
mod kernel_log;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::cli;
use crate::commands::{check, explain, list, show};
use crate::device::Device;
use crate::root::Root;
use copy::Copy;

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// The devices whose files are in it.
    pub devices: Vec<String>,
    /// How many files it has.
    pub files: usize,
    /// Whether it has addresses of the guest's memory.
    pub has_guest_addresses: bool,
}

/// Runs the command.
///
/// # Errors
///
/// If there is no such device, or the folder cannot be written.
pub fn run(root: &Root, options: &cli::Report, json: bool) -> Result<Answer> {
    let devices = match &options.vf {
        Some(vf) => vec![Device::read(root, vf)?],
        None => list::devices(root)?,
    };
    ensure!(!devices.is_empty(), "there is no VFIO device");
    let named_after = options.vf.as_deref().unwrap_or("host");
    let folder = options.output.clone();
    let folder =
        folder.unwrap_or_else(|| format!("vfio-mig-{}", named_after.replace(':', "-")).into());
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

    let mut copy = Copy::new(root, &folder, options.with_guest_addresses);
    files::of_host(&mut copy)?;
    for device in &devices {
        files::of_device(&mut copy, device)?;
    }
    if !root.is_saved() {
        let log = kernel_log::read(root, options.with_guest_addresses);
        copy.text("kernel-log.txt", &log)?;
    }
    answers(root, &devices, &mut copy)?;
    let report = Report {
        devices: devices.iter().map(|device| device.name.clone()).collect(),
        files: copy.count(),
        has_guest_addresses: options.with_guest_addresses,
        folder,
    };
    Answer::new(json, "report", &report, text, Exit::Good)
}

/// What the other commands answer now. They may have no answer for a device.
fn answers(root: &Root, devices: &[Device], copy: &mut Copy<'_>) -> Result<()> {
    for device in devices {
        let name = &device.name;
        let options = cli::Check {
            vf: name.clone(),
            memory: None,
            pid: None,
        };
        let texts = [
            ("show", show::run(root, name, false)),
            ("check", check::run(root, &options, false)),
            ("explain", explain::run(root, name, false)),
        ];
        for (command, answer) in texts {
            let text = match answer {
                Ok(answer) => anstream::adapter::strip_str(&answer.text).to_string(),
                Err(error) => format!("{error:#}\n"),
            };
            copy.text(&format!("answers/{name}-{command}.txt"), &text)?;
        }
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let addresses = match report.has_guest_addresses {
        true => "Addresses of the guest's memory are in it.",
        false => "Addresses of the guest's memory are withheld.",
    };
    let folder: &Path = &report.folder;
    format!(
        "{}: {} files of {}. {addresses}\n",
        folder.display(),
        report.files,
        report.devices.join(", ")
    )
}
