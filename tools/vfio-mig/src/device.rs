// SPDX-License-Identifier: GPL-2.0

//! A VFIO device as the files of its host show it.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hisi::FOLDER;
use crate::hisi::attr::{Attr, DirtyTracking};
use crate::hisi::match_data::MatchData;
use crate::request::{LONG, Outcome, Request};
use crate::root::{ReadError, Root};
use crate::state::{Feature, State};

/// VFIO core's folder of debugfs.
pub const DEBUGFS: &str = "/sys/kernel/debug/vfio";
/// Links to all VFIO devices.
pub const CLASS: &str = "/sys/class/vfio-dev";

/// The folders of devices by bus, in which a device is looked for.
const BUSES: [&str; 5] = ["pci", "mdev", "platform", "cdx", "fsl-mc"];

/// PCI identity of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PciId {
    /// Vendor ID.
    pub vendor: u64,
    /// Device ID.
    pub device: u64,
    /// Revision, which QEMU compares.
    pub revision: Option<u64>,
    /// Class code.
    pub class: Option<u64>,
    /// Sizes of the BARs in bytes, 0 for those that are missing.
    pub bar_sizes: Vec<u64>,
}

/// The PF of a VF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pf {
    /// Its name on the PCI bus.
    pub name: String,
    /// The driver that it is bound to.
    pub driver: Option<String>,
}

/// Whether a device can migrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanMigrate {
    /// The driver offers it.
    Yes,
    /// The driver does not.
    No,
    /// The debug files are not there, or only root may read them.
    Unknown,
}

/// A VFIO device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Its name on its bus, such as `0000:01:00.1`.
    pub name: String,
    /// The bus: `pci`, `mdev`, ...
    pub bus: Option<String>,
    /// The driver that it is bound to.
    pub driver: Option<String>,
    /// Its identity, if it is a PCI function.
    pub pci: Option<PciId>,
    /// Its PF, if it is a VF.
    pub pf: Option<Pf>,
    /// Its IOMMU group.
    pub iommu_group: Option<String>,
    /// Its character device below `/dev/vfio/devices`.
    pub vfio_device: Option<String>,
    /// Whether it can migrate.
    pub can_migrate: CanMigrate,
    /// Its state in the migration protocol.
    pub state: Option<State>,
    /// What of the migration protocol its driver offers.
    pub features: Vec<Feature>,
    /// The last requests for a state, oldest first; null if VFIO core does not record them.
    pub history: Option<Vec<Request>>,
    /// Who tracks the pages that it writes.
    pub dirty_tracking: Option<DirtyTracking>,
    /// `hisi_acc/attr`, if the driver has it.
    pub attr: Option<Attr>,
    /// `hisi_acc/match`, if the driver has it.
    #[serde(rename = "match")]
    pub match_data: Option<MatchData>,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

impl Device {
    /// Reads what there is about a VFIO device.
    ///
    /// # Errors
    ///
    /// If there is no device of this name.
    pub fn read(root: &Root, name: &str) -> anyhow::Result<Self> {
        if !is_name(name) {
            bail!("{name:?} is no name of a device");
        }
        let found = folder(root, name);
        let debug = format!("{DEBUGFS}/{name}");
        if found.is_none() && !root.exists(&debug) {
            let others = names(root);
            match others.is_empty() {
                true => bail!("there is no device {name}, and no VFIO device at all"),
                false => bail!(
                    "there is no device {name}; VFIO devices are: {}",
                    others.join(", ")
                ),
            }
        }
        let mut device = Device {
            name: name.to_owned(),
            bus: None,
            driver: None,
            pci: None,
            pf: None,
            iommu_group: None,
            vfio_device: None,
            can_migrate: CanMigrate::Unknown,
            state: None,
            features: Vec::new(),
            history: None,
            dirty_tracking: None,
            attr: None,
            match_data: None,
            notes: Vec::new(),
        };
        if let Some((bus, folder)) = found {
            device.read_sysfs(root, bus, &folder);
        }
        device.read_debugfs(root, &debug);
        Ok(device)
    }

    fn read_sysfs(&mut self, root: &Root, bus: &str, folder: &str) {
        self.bus = Some(bus.to_owned());
        self.driver = root.link_name(&format!("{folder}/driver"));
        self.iommu_group = root.link_name(&format!("{folder}/iommu_group"));
        let cdevs = root.names(&format!("{folder}/vfio-dev")).ok();
        self.vfio_device = cdevs.and_then(|names| names.into_iter().next());
        let number = |file: &str| root.number(&format!("{folder}/{file}"));
        if let (Some(vendor), Some(device)) = (number("vendor"), number("device")) {
            self.pci = Some(PciId {
                vendor,
                device,
                revision: number("revision"),
                class: number("class"),
                bar_sizes: bar_sizes(&root.text(&format!("{folder}/resource")).unwrap_or_default()),
            });
        }
        self.pf = root.link_name(&format!("{folder}/physfn")).map(|name| Pf {
            driver: root.link_name(&format!("/sys/bus/pci/devices/{name}/driver")),
            name,
        });
    }

    fn read_debugfs(&mut self, root: &Root, folder: &str) {
        match root.names(DEBUGFS) {
            Ok(_) => {}
            Err(ReadError::Absent) => {
                self.notes.push(format!(
                    "{DEBUGFS} is not there: vfio.ko was built without CONFIG_VFIO_DEBUGFS, or \
                     debugfs is not mounted"
                ));
                return;
            }
            Err(error) => {
                self.notes.push(format!("{DEBUGFS} {error}"));
                return;
            }
        }
        if !root.exists(&format!("{folder}/migration")) {
            self.can_migrate = CanMigrate::No;
            return;
        }
        self.can_migrate = CanMigrate::Yes;
        let text = |file: &str| {
            (
                file.to_owned(),
                root.text(&format!("{folder}/migration/{file}")),
            )
        };
        if let (_, Ok(features)) = text("features") {
            self.features = Feature::parse_all(&features);
        }
        match wait_for_answer(root, folder) {
            // Only vfio.ko with CONFIG_VFIO_DEBUGFS_HISTORY has it.
            Err(ReadError::Absent) => {}
            history => {
                self.history = self.known(("history".to_owned(), history), Request::parse_all)
            }
        }
        if let Some(request) = self.hanging_request() {
            self.notes.push(format!(
                "migration/state and the files of the driver are not read: they would wait for \
                 request {}, which the driver has not answered for {}",
                request.number,
                crate::duration::text(request.duration())
            ));
            return;
        }
        if let Some(state) = self.known(text("state"), |text| text.trim().parse()) {
            self.state = Some(state);
        }
        let has_own = root.exists(&format!("{folder}/migration/{FOLDER}/attr"))
            || root.exists(&format!("{folder}/migration/{FOLDER}/attr.errno"));
        if has_own {
            self.attr = self.known(text("hisi_acc/attr"), Attr::parse);
            self.match_data = self.known(text("hisi_acc/match"), MatchData::parse);
        }
        self.dirty_tracking = Some(match &self.attr {
            Some(attr) => attr.dirty_tracking,
            None if self.offers(Feature::DIRTY_TRACKING) => DirtyTracking::Driver,
            None => DirtyTracking::IommuOrNone,
        });
    }

    /// The last request for a state.
    pub fn last_request(&self) -> Option<&Request> {
        self.history.as_ref()?.last()
    }

    /// The request that the driver has been busy with for long.
    pub fn hanging_request(&self) -> Option<&Request> {
        self.history
            .iter()
            .flatten()
            .find(|request| request.hangs())
    }

    /// The parsed contents of a file; a note if that fails.
    fn known<T, E: std::fmt::Display>(
        &mut self,
        (file, text): (String, Result<String, ReadError>),
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let result = match text {
            Ok(text) => parse(&text).map_err(|error| format!("is not understood: {error}")),
            Err(error) => Err(error.to_string()),
        };
        result
            .map_err(|error| self.notes.push(format!("migration/{file} {error}")))
            .ok()
    }

    /// Whether the driver offers a part of the migration protocol.
    pub fn offers(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known.0 == feature)
    }

    /// The state of its debug files: closed, or as `state` says.
    pub fn is_closed(&self) -> Option<bool> {
        Some(self.attr.as_ref()?.device_state.is_none())
    }
}

/// How often the history is read while a request is under way.
const PAUSE: Duration = Duration::from_millis(10);

/// The file `history` when no request is under way, or when one is for long. It is read without
/// waiting for the driver, unlike the others.
fn wait_for_answer(root: &Root, folder: &str) -> Result<String, ReadError> {
    let file = format!("{folder}/migration/history");
    let mut text = root.text(&file)?;
    let mut passed = Duration::ZERO;
    while !root.is_saved() && passed < LONG && is_briefly_busy(&text) {
        thread::sleep(PAUSE);
        passed += PAUSE;
        text = root.text(&file)?;
    }
    Ok(text)
}

/// Whether the driver is busy with a request, and not for long.
fn is_briefly_busy(history: &str) -> bool {
    let requests = Request::parse_all(history).unwrap_or_default();
    let is_open = |request: &Request| request.outcome() == Outcome::UnderWay;
    requests.iter().any(is_open) && !requests.iter().any(Request::hangs)
}

/// The bus and folder of a device.
pub fn folder(root: &Root, name: &str) -> Option<(&'static str, String)> {
    BUSES
        .into_iter()
        .map(|bus| (bus, format!("/sys/bus/{bus}/devices/{name}")))
        .find(|(_, folder)| root.exists(folder))
}

/// Whether this can be the name of a device, and nothing else in a path or a shell.
pub fn is_name(text: &str) -> bool {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '_');
    text.chars().all(ordinary) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The sizes of the first six resources of a PCI function.
fn bar_sizes(resource: &str) -> Vec<u64> {
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let size = |line: &str| -> Option<u64> {
        let mut words = line.split_whitespace();
        let (start, end) = (number(words.next()?)?, number(words.next()?)?);
        let size = end.checked_sub(start)?;
        Some(if end == 0 { 0 } else { size + 1 })
    };
    resource.lines().take(6).map_while(size).collect()
}

/// The names of all VFIO devices, sorted.
pub fn names(root: &Root) -> Vec<String> {
    let mut found = BTreeSet::new();
    for entry in root.names(CLASS).unwrap_or_default() {
        // It leads to `<device>/vfio-dev/<entry>`, which need not be in a saved copy.
        let target = root.link_target(&format!("{CLASS}/{entry}"));
        let device = target
            .as_deref()
            .and_then(|path| path.ancestors().nth(2)?.file_name());
        found.extend(device.map(|name| name.to_string_lossy().into_owned()));
    }
    let shown = root.names(DEBUGFS).unwrap_or_default();
    // In a saved copy there are also notes on what could not be read.
    found.extend(
        shown
            .into_iter()
            .filter(|name| root.path(DEBUGFS).join(name).is_dir()),
    );
    found.into_iter().collect()
}
