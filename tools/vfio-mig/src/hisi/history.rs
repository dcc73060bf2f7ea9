// SPDX-License-Identifier: GPL-2.0

//! A line `history` of `attr`: a session and its arcs.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::errno::Errno;
use crate::state::State;
use crate::words::{ParseError, Result, Words, decimal, no, time, unless};

/// Direction of the data of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Out of the device.
    Save,
    /// Into the device.
    Resume,
}

impl Direction {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "save" => Ok(Direction::Save),
            "resume" => Ok(Direction::Resume),
            _ => Err(no("direction", text)),
        }
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Save => "save",
            Direction::Resume => "resume",
        })
    }
}

/// Who began a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The process that has the device open.
    User,
    /// A command in `debug`.
    Debugfs,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "user" => Ok(Origin::User),
            "debugfs" => Ok(Origin::Debugfs),
            _ => Err(no("origin", text)),
        }
    }
}

/// A step from one state to a neighbouring one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// The state before.
    pub from: State,
    /// The state after, if the step succeeds.
    pub to: State,
}

impl Ends {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (from, to) = text.split_once('>').ok_or_else(|| no("arc", text))?;
        let state = |name: &str| name.parse().map_err(|_| no("state", name));
        Ok(Ends {
            from: state(from)?,
            to: state(to)?,
        })
    }
}

impl Display for Ends {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from, self.to)
    }
}

/// An arc that was taken or has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arc {
    /// Its states.
    #[serde(flatten)]
    pub ends: Ends,
    /// Its duration in microseconds, rounded up; 0 if it needs nothing from the hardware.
    pub duration_us: u32,
    /// 0 if it succeeded.
    pub errno: Errno,
}

impl Arc {
    fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [ends, duration, errno] = parts[..] else {
            return Err(no("arc", text));
        };
        Ok(Arc {
            ends: Ends::parse(ends)?,
            duration_us: decimal(duration)?,
            errno: Errno(decimal(errno)?),
        })
    }

    /// Whether the arc was taken.
    pub fn succeeded(&self) -> bool {
        self.errno == Errno(0)
    }
}

impl Display for Arc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let duration = Duration::from_micros(self.duration_us.into());
        write!(f, "{} {}", self.ends, crate::duration::text(duration))?;
        if !self.succeeded() {
            write!(f, ", failed with {}", self.errno)?;
        }
        Ok(())
    }
}

/// A session: one passage of migration data out of the device or into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Counted from 1 since the device was bound.
    pub number: u64,
    /// Direction of its data.
    pub direction: Direction,
    /// Who began it.
    pub origin: Origin,
    /// When it began, in microseconds since 1970.
    pub begin_us: u64,
    /// When it ended, unless it has not yet.
    pub end_us: Option<u64>,
    /// How many bytes it had at its end.
    pub bytes: Option<u64>,
    /// Why its data were refused.
    pub refused: Option<Refusal>,
    /// Its last eight arcs, oldest first, and those around it.
    pub arcs: Vec<Arc>,
}

impl Session {
    /// Reads the line without its key.
    ///
    /// # Errors
    ///
    /// If it is not as the ABI says.
    pub fn parse(line: &str) -> std::result::Result<Self, ParseError> {
        let words = Words::of(line)?;
        let arcs = match words.get("arcs")? {
            "-" => Vec::new(),
            arcs => arcs.split(',').map(Arc::parse).collect::<Result<_>>()?,
        };
        Ok(Session {
            number: decimal(words.get("session")?)?,
            direction: Direction::parse(words.get("role")?)?,
            origin: Origin::parse(words.get("source")?)?,
            begin_us: time(words.get("begin")?)?,
            end_us: unless("-", words.get("end")?, time)?,
            bytes: unless("-", words.get("bytes")?, decimal)?,
            refused: unless("-", words.get("refused")?, Refusal::parse)?,
            arcs,
        })
    }

    /// How long it took, if it has ended.
    pub fn duration(&self) -> Option<Duration> {
        let micros = self.end_us?.saturating_sub(self.begin_us);
        Some(Duration::from_micros(micros))
    }

    /// The first arc that failed.
    pub fn failed_arc(&self) -> Option<&Arc> {
        self.arcs.iter().find(|arc| !arc.succeeded())
    }

    /// Whether something else than an arc has ended it: a reset of the device, or its close. A
    /// session whose last arc has failed was ended by that.
    pub fn was_cut_off(&self) -> bool {
        let in_session = |arc: &Arc| arc.succeeded() && arc.ends.to.is_in_session();
        self.end_us.is_some() && self.arcs.last().is_some_and(in_session)
    }

    /// How it went, in a few words.
    pub fn outcome(&self) -> String {
        if let Some(refusal) = &self.refused {
            format!("refused: {}", refusal.field)
        } else if let Some(arc) = self.failed_arc() {
            format!("{} failed: {}", arc.ends, arc.errno)
        } else if self.end_us.is_none() {
            "under way".to_owned()
        } else if self.was_cut_off() {
            "cut off by a reset or a close".to_owned()
        } else {
            "ended".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_arc_has_ended_was_cut_off() {
        let was_cut_off = |end: &str, arcs: &str| {
            let line = format!(
                "session=1 role=save source=user begin=1.000000 end={end} bytes=0 refused=- arcs={arcs}"
            );
            Session::parse(&line).expect("a session").was_cut_off()
        };
        assert!(was_cut_off("2.000000", "RUNNING>PRE_COPY:9:0"));
        assert!(!was_cut_off("-", "RUNNING>PRE_COPY:9:0"));
        assert!(!was_cut_off(
            "2.000000",
            "RUNNING>PRE_COPY:9:0,PRE_COPY>RUNNING:9:0"
        ));
        assert!(!was_cut_off(
            "2.000000",
            "RUNNING>PRE_COPY:9:0,PRE_COPY>STOP_COPY:9:110"
        ));
    }
}
