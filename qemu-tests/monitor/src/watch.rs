// SPDX-License-Identifier: GPL-2.0

//! Looks at VFIO's debugfs while QEMU migrates: which states the VFs are in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use linux::sysfs::{self, Function};
use protocol::What;
use vfio_client::Kind;

use super::port::POLL;
use super::report::tell;

fn folder(vf: &Function) -> PathBuf {
    PathBuf::from(format!("/sys/kernel/debug/vfio/{vf}/migration"))
}

/// What our driver's `attr` has under a key, line by line. The C driver has no such file.
fn attr(vf: &Function, key: &str) -> Result<Vec<String>> {
    let text = sysfs::read(folder(vf).join("hisi_acc/attr"))?;
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    let values = pairs.filter(|(name, _)| *name == key);
    Ok(values.map(|(_, value)| value.to_owned()).collect())
}

/// Why our driver refused what a VF was sent last.
pub fn refusal(vf: &Function) -> Result<String> {
    let refused = attr(vf, "refused")?.into_iter().next();
    refused.context("attr has no line of what was refused")
}

/// A VF's last sessions, oldest first, by our driver.
pub fn sessions(vf: &Function) -> Result<Vec<String>> {
    attr(vf, "history")
}

/// The arcs of a VF that failed, oldest first, by our driver.
pub fn failures(vf: &Function) -> Result<Vec<String>> {
    attr(vf, "failure")
}

/// Whether a guest's driver has set a VF up, by our driver.
pub fn driver_ready(vf: &Function) -> Result<bool> {
    let ready = attr(vf, "driver ready")?;
    match ready.iter().map(String::as_str).next() {
        Some("yes") => Ok(true),
        Some("no") => Ok(false),
        other => bail!("driver ready: {other:?}"),
    }
}

/// The state of a VF; `closed` if it is known that no user has it open.
pub fn state(vf: &Function) -> Result<String> {
    let state = sysfs::read(folder(vf).join("state"))?;
    // VFIO's core gives the state that a VF would be opened in.
    let open = attr(vf, "device state").map_or(true, |state| state != ["closed"]);
    Ok(if open { state.trim_end() } else { "closed" }.to_owned())
}

/// The migration features of a VF, by the names of VFIO's core.
pub fn features(vf: &Function) -> Result<Vec<String>> {
    let text = sysfs::read(folder(vf).join("features"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Whether the driver of a VF, or the IOMMU by that container, reports which pages the VF has
/// written. No user may have the VF open if it has the C driver.
pub(crate) fn tracks_dirty_pages(vf: &Function, kind: Kind) -> Result<bool> {
    if features(vf)?.iter().any(|name| name == "dirty-tracking") {
        return Ok(true);
    }
    if kind == Kind::Type1 {
        return Ok(false);
    }
    match attr(vf, "dirty tracking") {
        Ok(value) => Ok(value == ["IOMMU"]),
        // The C driver has no such file.
        Err(_) => vfio_client::iommu_tracks(vf),
    }
}

/// The states of some VFs, while it lives.
pub struct Watch {
    over: Arc<AtomicBool>,
    seen: Vec<(Function, mpsc::Receiver<String>)>,
}

impl Watch {
    /// Looks at the states from now on.
    pub fn start(vfs: &[Function]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        // A thread for each: a state cannot be read while the device is between two.
        let seen = vfs.iter().map(|vf| {
            let (sender, receiver) = mpsc::channel();
            let (watched, over) = (vf.clone(), Arc::clone(&over));
            std::thread::spawn(move || follow(&watched, &over, &sender));
            (vf.clone(), receiver)
        });
        Watch {
            seen: seen.collect(),
            over,
        }
    }

    /// The states that a VF was seen in since this was last asked.
    pub fn seen(&self, vf: &Function) -> Vec<String> {
        let of_vf = self.seen.iter().filter(|(watched, _)| watched == vf);
        of_vf.flat_map(|(_, states)| states.try_iter()).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn follow(vf: &Function, over: &AtomicBool, states: &mpsc::Sender<String>) {
    let mut last = String::new();
    while !over.load(Ordering::Relaxed) {
        // Neither can be read in a reset.
        let state = state(vf).unwrap_or_else(|_| "unknown".to_owned());
        if state != last {
            tell(What::State {
                vf: vf.to_string(),
                state: state.clone(),
            });
            control::show(format!("    {vf}: {state}"));
            // It is not needed when the watch is over.
            let _ = states.send(state.clone());
            last = state;
        }
        std::thread::sleep(POLL);
    }
}
