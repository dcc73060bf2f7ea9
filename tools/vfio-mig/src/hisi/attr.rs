// SPDX-License-Identifier: GPL-2.0

//! The file `attr`.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::history::{Direction, Ends, Origin, Session};
use super::refusal::Refusal;
use crate::errno::Errno;
use crate::state::State;
use crate::words::{ParseError, Result, decimal, hex, no, unless, yes_no};

/// Who reports the pages that a device writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DirtyTracking {
    /// The device's driver.
    #[serde(rename = "driver")]
    Driver,
    /// The IOMMU.
    #[serde(rename = "IOMMU")]
    Iommu,
    /// Nothing does.
    #[serde(rename = "none")]
    None,
    /// The driver does not, and the IOMMU's ability is not shown by any file.
    #[serde(rename = "IOMMU or none")]
    IommuOrNone,
}

impl Display for DirtyTracking {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DirtyTracking::Driver => "driver",
            DirtyTracking::Iommu => "IOMMU",
            DirtyTracking::None => "none",
            DirtyTracking::IommuOrNone => "IOMMU or none",
        })
    }
}

/// A refused session and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedSession {
    /// Its number.
    pub session: u64,
    /// The field.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// The arc that led to ERROR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FatalArc {
    /// Its states.
    #[serde(flatten)]
    pub ends: Ends,
    /// Its error.
    pub errno: Errno,
}

impl FatalArc {
    /// Reads `<state> to <state>, error <decimal>`.
    fn parse(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [from, "to", to, "error", errno] = words[..] else {
            return Err(no("failed arc", text));
        };
        let to = to.strip_suffix(',').ok_or_else(|| no("failed arc", text))?;
        Ok(FatalArc {
            ends: Ends::parse(&format!("{from}>{to}"))?,
            errno: Errno(decimal(errno)?),
        })
    }
}

/// The session that the data belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataSession {
    /// Its number.
    pub number: u64,
    /// Its direction.
    pub direction: Direction,
}

impl DataSession {
    fn parse(text: &str) -> Result<Self> {
        let (number, direction) = text.split_once(' ').ok_or_else(|| no("session", text))?;
        Ok(DataSession {
            number: decimal(number)?,
            direction: Direction::parse(direction)?,
        })
    }
}

/// All lines of the file. The ABI explains each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attr {
    /// `zip`, `sec` or `hpre`.
    pub engine: String,
    /// Such as `V3 (0x30)`, or the number alone.
    pub hardware_version: String,
    /// Where the migration registers are: `vf` or `pf`.
    pub registers: String,
    /// Number of the VF in its PF's tables, from 1.
    pub function: u32,
    /// Who reports the pages that the VF writes.
    pub dirty_tracking: DirtyTracking,
    /// First queue pair.
    pub queue_base: Option<u32>,
    /// Queue pairs.
    pub queue_count: Option<u32>,
    /// Doorbell isolation of the PF.
    pub isolation: Option<u32>,
    /// Whether the guest's driver has set the VF up.
    pub driver_ready: Option<bool>,
    /// The state, or nothing if the device is closed.
    pub device_state: Option<State>,
    /// The arc that led to ERROR.
    pub failed: Option<FatalArc>,
    /// Whether there are data of a session with a complete length.
    pub data_valid: bool,
    /// Bytes of these data.
    pub data_size: u64,
    /// The session that they belong to.
    pub session: Option<DataSession>,
    /// Who began that session.
    pub source: Option<Origin>,
    /// Whether the device was reset after that session.
    pub outdated: bool,
    /// The last session whose data were refused.
    pub refused: Option<RefusedSession>,
    /// The last sessions, oldest first.
    pub history: Vec<Session>,
    /// The last arcs that failed, oldest first.
    pub failures: Vec<Failure>,
    /// Lines that this program does not know.
    pub other: Vec<String>,
}

/// The lines of a file that have been read one after the other.
struct Lines<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Result<Self> {
        text.lines()
            .map(|line| {
                line.split_once(": ")
                    .ok_or_else(|| no("line of attr", line))
            })
            .collect::<Result<_>>()
            .map(Lines)
    }

    /// Takes the value of a key, and parses it.
    fn find<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
        let at = self.0.iter().position(|(name, _)| *name == key);
        let value = at.map(|at| self.0.remove(at).1);
        value.map(parse).transpose().map_err(|e| at_key(key, &e))
    }

    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        self.find(key, parse)?
            .ok_or_else(|| ParseError(format!("there is no line {key:?}")))
    }

    fn all<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let mut found = Vec::new();
        while let Some(value) = self.find(key, &parse)? {
            found.push(value);
        }
        Ok(found)
    }
}

fn at_key(key: &str, error: &ParseError) -> ParseError {
    ParseError(format!("in line {key:?}: {error}"))
}

fn word(text: &str) -> Result<String> {
    Ok(text.to_owned())
}

fn unless_unknown(text: &str) -> Result<Option<u32>> {
    unless("unknown", text, decimal)
}

fn dirty_tracking(text: &str) -> Result<DirtyTracking> {
    match text {
        "driver" => Ok(DirtyTracking::Driver),
        "IOMMU" => Ok(DirtyTracking::Iommu),
        "none" => Ok(DirtyTracking::None),
        _ => Err(no("way to track dirty pages", text)),
    }
}

fn refused(text: &str) -> Result<Option<RefusedSession>> {
    unless("none", text, |text| {
        let (session, refusal) = Refusal::parse_with_session(text)?;
        Ok(RefusedSession { session, refusal })
    })
}

impl Attr {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If a line is missing or is not as the ABI says. Lines with other keys are kept in
    /// [`Attr::other`].
    pub fn parse(text: &str) -> std::result::Result<Self, ParseError> {
        let mut lines = Lines::of(text)?;
        let state = |text: &str| text.parse().map_err(|_| no("state", text));
        Ok(Attr {
            engine: lines.get("engine", word)?,
            hardware_version: lines.get("hardware version", word)?,
            registers: lines.get("registers", word)?,
            function: lines.get("function", decimal)?,
            dirty_tracking: lines.get("dirty tracking", dirty_tracking)?,
            queue_base: lines.get("queue base", unless_unknown)?,
            queue_count: lines.get("queue count", unless_unknown)?,
            isolation: lines.get("isolation", unless_unknown)?,
            driver_ready: lines.get("driver ready", |t| unless("unknown", t, yes_no))?,
            device_state: lines.get("device state", |t| unless("closed", t, state))?,
            failed: lines.find("failed", FatalArc::parse)?,
            data_valid: lines.get("data valid", yes_no)?,
            data_size: lines.get("data size", decimal)?,
            session: lines.get("session", |t| unless("none", t, DataSession::parse))?,
            source: lines.get("source", |t| unless("none", t, Origin::parse))?,
            outdated: lines.get("outdated", yes_no)?,
            refused: lines.get("refused", refused)?,
            history: lines.all("history", Session::parse)?,
            failures: lines.all("failure", Failure::parse)?,
            other: (lines.0.iter().map(|(key, value)| format!("{key}: {value}"))).collect(),
        })
    }

    /// The number of the hardware version.
    pub fn hardware(&self) -> Option<u64> {
        let number = self.hardware_version.rsplit(['(', ' ']).next()?;
        hex(number.trim_end_matches(')')).ok()
    }
}
