// SPDX-License-Identifier: GPL-2.0

//! The files `data`, `migf_data` and `dev_data`: a hex dump, and lines after it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{ParseError, Result, decimal, no};

/// What stands in place of a byte that was withheld from a report.
pub const WITHHELD: &str = "--";

/// What a dump is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `data` or `migf_data`: the data of a session.
    Session,
    /// `dev_data`: what a device has now.
    Device,
}

impl Kind {
    /// How the lines begin.
    pub const fn prefix(self) -> &'static str {
        match self {
            Kind::Session => "Mig Data:",
            Kind::Device => "Dev Data:",
        }
    }
}

/// A dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexDump {
    /// What it is of.
    pub kind: Kind,
    /// Its bytes, but for those that were withheld.
    pub bytes: Vec<Option<u8>>,
    /// The number of bytes that the last line gives.
    pub length: Option<usize>,
    /// `guest driver load` of `dev_data`.
    pub driver_loaded: Option<u32>,
}

/// Larger than any dump.
const MAX: usize = 1 << 16;

impl HexDump {
    /// Whether the text looks like a dump.
    pub fn is_one(text: &str) -> bool {
        let first = text.lines().find(|line| !line.trim().is_empty());
        first.is_some_and(|line| {
            line.starts_with(Kind::Session.prefix())
                || line.starts_with(Kind::Device.prefix())
                || line.starts_with("migrate data length:")
        })
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If a line is not as the ABI says, or an offset is not that of the bytes.
    pub fn parse(text: &str) -> std::result::Result<Self, ParseError> {
        let mut dump = HexDump {
            kind: Kind::Session,
            bytes: Vec::new(),
            length: None,
            driver_loaded: None,
        };
        for (number, line) in text.lines().enumerate() {
            dump.take(line.trim_end())
                .map_err(|error| ParseError(format!("line {}: {error}", number + 1)))?;
        }
        Ok(dump)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        for kind in [Kind::Session, Kind::Device] {
            if let Some(rest) = line.strip_prefix(kind.prefix()) {
                self.kind = kind;
                return self.take_bytes(rest);
            }
        }
        let (key, value) = line
            .split_once(": ")
            .ok_or_else(|| no("line of a dump", line))?;
        match key {
            "migrate data length" | "data size" => self.length = Some(decimal(value)?),
            "guest driver load" => self.driver_loaded = Some(decimal(value)?),
            _ => return Err(no("line of a dump", line)),
        }
        Ok(())
    }

    /// Takes `<offset>: <bytes>`.
    fn take_bytes(&mut self, text: &str) -> Result<()> {
        let (offset, bytes) = text
            .split_once(": ")
            .ok_or_else(|| no("line of a dump", text))?;
        let at = usize::from_str_radix(offset, 16).map_err(|_| no("offset", offset))?;
        if at != self.bytes.len() {
            return Err(ParseError(format!(
                "offset {at:#x}, after {:#x} bytes",
                self.bytes.len()
            )));
        }
        for byte in bytes.split_whitespace() {
            let value = match byte {
                WITHHELD => None,
                digits if digits.len() == 2 => {
                    Some(u8::from_str_radix(digits, 16).map_err(|_| no("byte", digits))?)
                }
                other => return Err(no("byte", other)),
            };
            self.bytes.push(value);
        }
        if self.bytes.len() > MAX {
            return Err(ParseError("there are too many bytes".to_owned()));
        }
        Ok(())
    }
}

/// `text` with the bytes at these offsets withheld. Lines that are no dump are kept.
pub fn withhold(text: &str, is_secret: impl Fn(usize) -> bool) -> String {
    let line = |line: &str| {
        let kinds = [Kind::Session, Kind::Device].into_iter();
        let found = kinds
            .filter_map(|kind| Some((kind, line.strip_prefix(kind.prefix())?)))
            .find_map(|(kind, rest)| Some((kind, rest.split_once(": ")?)));
        let Some((kind, (offset, bytes))) = found else {
            return line.to_owned();
        };
        // Without an offset it is not known what the bytes are.
        let at = usize::from_str_radix(offset, 16).ok();
        let shown: Vec<&str> = bytes
            .split_whitespace()
            .enumerate()
            .map(|(n, byte)| match at {
                Some(at) if !is_secret(at.saturating_add(n)) => byte,
                _ => WITHHELD,
            })
            .collect();
        format!("{}{offset}: {}", kind.prefix(), shown.join(" "))
    };
    let mut lines: String = text.lines().map(|l| line(l) + "\n").collect();
    if !text.ends_with('\n') {
        lines.pop();
    }
    lines
}
