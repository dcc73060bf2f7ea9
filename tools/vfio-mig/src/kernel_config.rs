// SPDX-License-Identifier: GPL-2.0

//! The options that the kernel was built with.

use std::collections::BTreeMap;
use std::io::Read;

use crate::root::Root;

/// Where a saved copy has the options that matter, as text.
pub const SAVED: &str = "/proc/config";

/// Parts of the names of the options that matter to a migration, and that a report has.
const RELEVANT: [&str; 11] = [
    "VFIO",
    "IOMMU",
    "SMMU",
    "HISI",
    "DEBUG_FS",
    "PCI_IOV",
    "KVM",
    "_PAGES=",
    "CONFIG_RUST=",
    "MODULE_SIG",
    "TRACEPOINTS",
];

/// No configuration is larger.
const LIMIT: u64 = 4 << 20;

/// The options of a kernel.
#[derive(Debug)]
pub struct KernelConfig {
    options: BTreeMap<String, String>,
    /// The file that they were read from.
    pub file: String,
}

impl KernelConfig {
    /// Reads the options of the running kernel, or of the one that was saved.
    pub fn read(root: &Root) -> Option<Self> {
        let (file, text) = text(root)?;
        Some(KernelConfig {
            options: parse(&text),
            file,
        })
    }

    /// The value of an option, without `CONFIG_`: `y`, `m`, or `n` if it is off.
    pub fn get(&self, option: &str) -> &str {
        self.options.get(option).map_or("n", String::as_str)
    }

    /// Whether an option is on.
    pub fn has(&self, option: &str) -> bool {
        self.get(option) != "n"
    }
}

fn text(root: &Root) -> Option<(String, String)> {
    if let Ok(text) = root.text(SAVED) {
        return Some((SAVED.to_owned(), text));
    }
    if let Ok(packed) = root.bytes("/proc/config.gz") {
        let mut text = String::new();
        let unpacked = flate2::read::GzDecoder::new(packed.as_slice());
        unpacked.take(LIMIT).read_to_string(&mut text).ok()?;
        return Some(("/proc/config.gz".to_owned(), text));
    }
    let release = root.line("/proc/sys/kernel/osrelease")?;
    let files = [
        format!("/boot/config-{release}"),
        format!("/lib/modules/{release}/config"),
    ];
    files
        .into_iter()
        .find_map(|file| root.text(&file).ok().map(|text| (file, text)))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .filter_map(|(key, value)| {
            let name = key.strip_prefix("CONFIG_")?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        })
        .collect()
}

/// The lines of the options that matter to a migration.
pub fn relevant(root: &Root) -> Option<String> {
    let (_, text) = text(root)?;
    let lines = text.lines().filter(|line| {
        line.starts_with("CONFIG_") && RELEVANT.iter().any(|part| line.contains(part))
    });
    Some(lines.map(|line| format!("{line}\n")).collect())
}
