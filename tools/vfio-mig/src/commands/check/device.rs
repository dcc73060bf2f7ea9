// SPDX-License-Identifier: GPL-2.0

//! Checks of the VF, of its driver and of its PF.

use super::{Line, Subject};
use crate::device::CanMigrate;
use crate::hisi::names;
use crate::state::{Feature, State};

/// Vendor of the accelerators.
const HUAWEI: u64 = 0x19e5;

/// Drivers with which VFs of the accelerators migrate, as they are named on the bus.
const MIGRATING: [&str; 2] = ["hisi_acc_vfio_pci_rs", "hisi_acc_vfio_pci"];

impl Subject<'_> {
    /// The engine, if this is a VF of an accelerator.
    fn engine(&self) -> Option<&'static str> {
        let pci = self.device.pci.as_ref()?;
        names::engine(pci.device).filter(|_| pci.vendor == HUAWEI)
    }

    /// The revision of an accelerator's VF, which is its hardware version.
    pub(super) fn hisi_revision(&self) -> Option<u64> {
        self.engine()?;
        self.device.pci.as_ref()?.revision
    }

    fn debug_files(&self) -> Option<&String> {
        let notes = &self.device.notes;
        notes
            .iter()
            .find(|note| note.starts_with(crate::device::DEBUGFS))
    }
}

pub(super) fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = vec![driver(subject), debug_files(subject)];
    lines.extend(pf(subject));
    lines.extend(hardware(subject));
    lines.push(migration(subject));
    if subject.device.can_migrate == CanMigrate::Yes {
        lines.extend([state(subject), features(subject)]);
        lines.extend(match_data(subject));
    }
    lines
}

fn driver(subject: &Subject<'_>) -> Line {
    let vf = &subject.device.name;
    let name = "driver";
    let remedy = match subject.engine() {
        Some(_) => format!(
            "modprobe hisi_acc_vfio_pci_rs; echo hisi_acc_vfio_pci_rs > \
             /sys/bus/pci/devices/{vf}/driver_override; unbind, and echo {vf} > \
             /sys/bus/pci/drivers_probe"
        ),
        None => format!("bind {vf} to a VFIO driver of its vendor"),
    };
    match subject.device.driver.as_deref() {
        None => Line::fail(name, "the device has none", remedy),
        Some(driver @ "vfio-pci") => {
            Line::fail(name, format!("{driver}, which migrates nothing"), remedy)
        }
        Some(driver) if subject.engine().is_some() && !MIGRATING.contains(&driver) => Line::fail(
            name,
            format!("{driver}, which is no VFIO driver for it"),
            remedy,
        ),
        Some(driver) => Line::ok(name, driver),
    }
}

fn debug_files(subject: &Subject<'_>) -> Line {
    let name = "debug files";
    match subject.debug_files() {
        None => Line::ok(name, crate::device::DEBUGFS),
        Some(note) if note.contains("is not there") => Line::warning(
            name,
            note,
            "mount -t debugfs none /sys/kernel/debug, or use a vfio.ko with CONFIG_VFIO_DEBUGFS; \
             without them there is little to see after a failure",
        ),
        Some(note) => Line::unknown(name, note, "run this as root"),
    }
}

/// The PF's own driver gives the VF its queues, and without it there is no migration.
fn pf(subject: &Subject<'_>) -> Option<Line> {
    let engine = subject.engine()?;
    let module = match engine {
        "sec" => "hisi_sec2",
        "hpre" => "hisi_hpre",
        _ => "hisi_zip",
    };
    let name = "PF";
    Some(match &subject.device.pf {
        None => Line::unknown(
            name,
            "sysfs shows none: this is not the host that has the PF",
            "run this on the host, not in a guest",
        ),
        Some(pf) => match pf.driver.as_deref() {
            Some(driver) if driver == module => Line::ok(name, format!("{}, {driver}", pf.name)),
            Some(driver) => Line::fail(
                name,
                format!("{} is bound to {driver}", pf.name),
                format!("bind it to {module}, and make its VFs anew"),
            ),
            None => Line::fail(
                name,
                format!("{} has no driver", pf.name),
                format!("bind it to {module}, and make its VFs anew"),
            ),
        },
    })
}

fn hardware(subject: &Subject<'_>) -> Option<Line> {
    let revision = subject.hisi_revision()?;
    let version = names::hardware(revision).map_or(format!("{revision:#x}"), str::to_owned);
    Some(match revision {
        0..0x30 => Line::fail(
            "hardware",
            format!("{version} cannot migrate"),
            "use hardware V3 or later",
        ),
        _ => Line::ok("hardware", version),
    })
}

fn migration(subject: &Subject<'_>) -> Line {
    let name = "migration";
    match subject.device.can_migrate {
        CanMigrate::Yes if subject.device.offers(Feature::STOP_COPY) => {
            Line::ok(name, "offered by the driver")
        }
        CanMigrate::Yes => Line::fail(
            name,
            "the driver offers no stop-copy",
            "report it to the driver's authors",
        ),
        CanMigrate::No => Line::fail(
            name,
            "the driver offers none for this device",
            "see the other lines; if they are good, the kernel's log says why",
        ),
        CanMigrate::Unknown => Line::unknown(
            name,
            "shown by the debug files only",
            "run this as root, on a vfio.ko with CONFIG_VFIO_DEBUGFS",
        ),
    }
}

fn state(subject: &Subject<'_>) -> Line {
    let name = "state";
    match subject.device.state {
        Some(state @ (State::Error | State::Invalid)) => Line::fail(
            name,
            format!("{state}: {}", state.meaning()),
            "reboot the guest, or reset the device when no guest uses it",
        ),
        Some(state) if state.is_in_session() => Line::warning(
            name,
            format!("{state}: {}", state.meaning()),
            "wait for the end of this migration",
        ),
        Some(state) => Line::ok(name, format!("{state}: {}", state.meaning())),
        None => Line::unknown(name, "cannot be read", "see the kernel's log"),
    }
}

fn features(subject: &Subject<'_>) -> Line {
    let name = "features";
    let device = &subject.device;
    let missing: Vec<&str> = [
        (Feature::P2P, "p2p: a guest can have only one such device"),
        (
            Feature::PRE_COPY,
            "pre-copy: a device that does not fit is found when the guest stands",
        ),
    ]
    .into_iter()
    .filter_map(|(feature, lack)| (!device.offers(feature)).then_some(lack))
    .collect();
    match missing.is_empty() {
        true => Line::ok(name, "stop-copy, p2p, pre-copy"),
        false => Line::warning(
            name,
            format!("no {}", missing.join("; no ")),
            "nothing, if the guest can do with it; otherwise use another driver",
        ),
    }
}

/// What the other host must have is known only if the VF has told its queues.
fn match_data(subject: &Subject<'_>) -> Option<Line> {
    subject.device.attr.as_ref()?;
    let name = "match data";
    Some(match &subject.device.match_data {
        Some(found) => Line::ok(
            name,
            match found.queue_count {
                Some(count) => format!("known, {count} queue pairs"),
                None => "known".to_owned(),
            },
        ),
        None => Line::fail(
            name,
            "the VF has not answered when it was asked for its queues",
            "reset the VF, or bind it again",
        ),
    })
}
