// SPDX-License-Identifier: GPL-2.0

//! The match data: what a stream and a device must have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;
use crate::words::{ParseError, hex, no};

/// The fields of the file `match`. A stream of the C driver has no hardware version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchData {
    /// Which form the stream has.
    pub magic: Option<u64>,
    /// Version of that form.
    pub major_version: Option<u64>,
    /// PCI device ID of the VF, which tells the engine.
    pub device: Option<u64>,
    /// Queue pairs of the VF.
    pub queue_count: Option<u64>,
    /// Doorbell isolation of the PF.
    pub isolation: Option<u64>,
    /// Version of the queue manager.
    pub hardware_version: Option<u64>,
}

impl MatchData {
    /// Names of the fields, in the order in which the driver compares them.
    pub const FIELDS: [&'static str; 6] = [
        "magic",
        "major_version",
        "device",
        "queue_count",
        "isolation",
        "hardware_version",
    ];

    fn field(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "magic" => Some(&mut self.magic),
            "major_version" => Some(&mut self.major_version),
            "device" => Some(&mut self.device),
            "queue_count" => Some(&mut self.queue_count),
            "isolation" => Some(&mut self.isolation),
            "hardware_version" => Some(&mut self.hardware_version),
            _ => None,
        }
    }

    /// The values, in the order of [`MatchData::FIELDS`].
    pub fn values(&self) -> [Option<u64>; 6] {
        [
            self.magic,
            self.major_version,
            self.device,
            self.queue_count,
            self.isolation,
            self.hardware_version,
        ]
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If a line is no `key: value`, a value is no number, or a field is missing.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut found = MatchData::default();
        for line in text.lines() {
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| no("line of match", line))?;
            // A later driver may have more fields.
            if let Some(field) = found.field(key) {
                *field = Some(hex(value.trim())?);
            }
        }
        let missing = Self::FIELDS.into_iter().zip(found.values());
        match missing.into_iter().find(|(_, value)| value.is_none()) {
            Some((name, _)) => Err(ParseError(format!("there is no line {name:?}"))),
            None => Ok(found),
        }
    }
}

/// A value of a field for people to read.
pub fn text(field: &str, value: u64) -> String {
    let name = match field {
        "device" => names::engine(value).map(str::to_owned),
        "hardware_version" => names::hardware(value).map(str::to_owned),
        "queue_count" | "length" => Some(value.to_string()),
        _ => None,
    };
    match name {
        Some(name) => format!("{name} ({value:#x})"),
        None => format!("{value:#x}"),
    }
}
