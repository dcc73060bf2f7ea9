// SPDX-License-Identifier: GPL-2.0

//! A line `failure` of `attr`: an arc that failed, and the registers after it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Ends;
use crate::errno::Errno;
use crate::words::{ParseError, Result, Words, decimal, hex, time, unless};

/// An arc that failed, in a session or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// The session that was under way.
    pub session: Option<u64>,
    /// The states of the arc.
    #[serde(flatten)]
    pub ends: Ends,
    /// Its error.
    pub errno: Errno,
    /// The registers right after it. They are unknown if the PF was being reset.
    pub registers: Option<Registers>,
}

/// Registers after a failed arc.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registers {
    /// First word of the VF's mailbox.
    pub mailbox: u64,
    /// 0 if the guest's driver has set the VF up.
    pub vf_state: u64,
    /// Messages from the PF that are pending.
    pub ifc_int_status: u64,
    /// Messages to the PF that are pending.
    pub ifc_int_set: u64,
    /// 1 if the last write-back of the queue contexts has ended.
    pub cache_wb_done: u64,
    /// Errors of the PF's queue manager.
    pub abnormal_int_status: u64,
    /// Errors of the engine.
    pub core_int_status: u64,
    /// The names of the queue manager's errors.
    pub qm_errors: Vec<String>,
}

impl Registers {
    fn parse(words: &Words<'_>) -> Result<Self> {
        let number = |key| words.get(key).and_then(hex);
        let qm_errors = match words.get("qm_errors")? {
            "-" => Vec::new(),
            names => names.split(',').map(str::to_owned).collect(),
        };
        Ok(Registers {
            mailbox: number("mailbox")?,
            vf_state: number("vf_state")?,
            ifc_int_status: number("ifc_int_status")?,
            ifc_int_set: number("ifc_int_set")?,
            cache_wb_done: number("cache_wb_done")?,
            abnormal_int_status: number("abnormal_int_status")?,
            core_int_status: number("core_int_status")?,
            qm_errors,
        })
    }

    /// The names of the registers with their values, as in the line.
    pub fn values(&self) -> [(&'static str, u64); 7] {
        [
            ("mailbox", self.mailbox),
            ("vf_state", self.vf_state),
            ("ifc_int_status", self.ifc_int_status),
            ("ifc_int_set", self.ifc_int_set),
            ("cache_wb_done", self.cache_wb_done),
            ("abnormal_int_status", self.abnormal_int_status),
            ("core_int_status", self.core_int_status),
        ]
    }

    /// The command in the mailbox, bits 7:0.
    pub fn mailbox_command(&self) -> u64 {
        self.mailbox & 0xff
    }

    /// The status of the last command, bits 12:9; 0 is success.
    pub fn mailbox_status(&self) -> u64 {
        self.mailbox >> 9 & 0xf
    }

    /// Whether the command has not ended, bit 13.
    pub fn mailbox_busy(&self) -> bool {
        self.mailbox >> 13 & 1 != 0
    }
}

impl Failure {
    /// Reads the line without its key.
    ///
    /// # Errors
    ///
    /// If it is not as the ABI says.
    pub fn parse(line: &str) -> std::result::Result<Self, ParseError> {
        let words = Words::of(line)?;
        let registers = match words.find("registers") {
            Some("unknown") => None,
            _ => Some(Registers::parse(&words)?),
        };
        Ok(Failure {
            time_us: time(words.get("time")?)?,
            session: unless("-", words.get("session")?, decimal)?,
            ends: Ends::parse(words.get("arc")?)?,
            errno: Errno(decimal(words.get("errno")?)?),
            registers,
        })
    }
}
