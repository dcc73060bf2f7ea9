// SPDX-License-Identifier: GPL-2.0

//! The file `migration/history` of VFIO core: the last requests for a state, whatever the driver.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::errno::Errno;
use crate::state::State;
use crate::words::{ParseError, Result, Words, decimal, hex, no, time, unless};

/// A driver that has been busy with a request for longer is said not to answer. Reading the other
/// files of the device would wait for it.
pub const LONG: Duration = Duration::from_millis(500);

/// What each line of the file begins with.
const BEGINNING: &str = "request=";

/// A state that was requested: its name, or the number with 0x in front if the uAPI has no such
/// state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StateName(String);

impl StateName {
    /// Reads the name or number.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn parse(text: &str) -> std::result::Result<Self, ParseError> {
        let state: Option<State> = text.parse().ok();
        let is_name = state.is_some_and(|state| state != State::Invalid);
        match is_name || hex(text).is_ok_and(|number| u32::try_from(number).is_ok()) {
            true => Ok(StateName(text.to_owned())),
            false => Err(no("state", text)),
        }
    }
}

impl Display for StateName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was requested: a state, from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The state before; null if the driver could not report it.
    pub from: Option<StateName>,
    /// The requested state.
    pub to: StateName,
}

impl Change {
    /// Reads `from=` and `to=`.
    pub(crate) fn parse(words: &Words<'_>) -> Result<Self> {
        Ok(Change {
            from: unless("-", words.get("from")?, StateName::parse)?,
            to: StateName::parse(words.get("to")?)?,
        })
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(from) => write!(f, "{from} -> {}", self.to),
            None => write!(f, "unknown -> {}", self.to),
        }
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The device is in the requested state, and the process was told so.
    Succeeded,
    /// The driver has failed or refused.
    Failed,
    /// The device is in the requested state, but the process did not get the answer or the data
    /// file.
    Undelivered,
    /// The driver is busy with it.
    UnderWay,
}

/// A request for a state: a line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Counted from 1 since the device was registered.
    pub number: u64,
    /// When it was made, in microseconds since 1970.
    pub time_us: u64,
    /// The states.
    #[serde(flatten)]
    pub change: Change,
    /// How long the driver took; so far, if it is busy.
    pub duration_us: u64,
    /// What the driver has failed with, 0 for success; null while it is busy.
    pub errno: Option<Errno>,
    /// What the system call has failed with, 0 for success; null while the driver is busy.
    pub ioctl_errno: Option<Errno>,
    /// The process that made it.
    pub pid: u32,
    /// The name of the thread that made it, in which `\x` and two digits stand for a character that
    /// is not visible.
    pub comm: String,
}

/// The name of a thread, which is shown on a terminal.
fn visible(text: &str) -> Result<String> {
    match text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(no("name of a thread", text)),
    }
}

impl Request {
    /// Reads a line. Words that a later kernel may have are left out.
    fn parse(line: &str) -> Result<Self> {
        let words = Words::of(line)?;
        let errno = |key| unless("-", words.get(key)?, Errno::parse);
        Ok(Request {
            number: decimal(words.get("request")?)?,
            time_us: time(words.get("time")?)?,
            change: Change::parse(&words)?,
            duration_us: decimal(words.get("duration")?)?,
            errno: errno("errno")?,
            ioctl_errno: errno("ioctl")?,
            pid: decimal(words.get("pid")?)?,
            comm: visible(words.get("comm")?)?,
        })
    }

    /// Whether a text is the file, and not empty.
    pub fn is_file(text: &str) -> bool {
        text.starts_with(BEGINNING)
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If a line is not as the ABI says, or the numbers do not follow one another.
    pub fn parse_all(text: &str) -> std::result::Result<Vec<Self>, ParseError> {
        let requests: Vec<Self> = text.lines().map(Request::parse).collect::<Result<_>>()?;
        for two in requests.windows(2) {
            if two[0].number.checked_add(1) != Some(two[1].number) {
                let numbers = format!("request {} after {}", two[1].number, two[0].number);
                return Err(ParseError(numbers));
            }
        }
        Ok(requests)
    }

    /// What came of it.
    pub fn outcome(&self) -> Outcome {
        match (self.errno, self.ioctl_errno) {
            (Some(Errno(0)), Some(Errno(0)) | None) => Outcome::Succeeded,
            (Some(Errno(0)), Some(_)) => Outcome::Undelivered,
            (Some(_), _) => Outcome::Failed,
            (None, _) => Outcome::UnderWay,
        }
    }

    /// Whether the driver has been busy with it for long.
    pub fn hangs(&self) -> bool {
        self.outcome() == Outcome::UnderWay && self.duration() >= LONG
    }

    /// How long the driver took, or has taken.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.duration_us)
    }

    /// Whether the driver was busy with it at this time, in microseconds since 1970.
    pub fn was_under_way_at(&self, time_us: u64) -> bool {
        (self.time_us..=self.time_us.saturating_add(self.duration_us)).contains(&time_us)
    }

    /// What came of it, in words.
    pub fn answer(&self) -> String {
        let took = duration::text(self.duration());
        let errno = |errno: Option<Errno>| {
            let errno = errno.unwrap_or(Errno(0));
            format!("{errno} ({})", errno.description())
        };
        match self.outcome() {
            Outcome::Succeeded => format!("done in {took}"),
            Outcome::Failed => format!("failed after {took} with {}", errno(self.errno)),
            Outcome::Undelivered => format!(
                "done in {took}, but the process did not get the answer: {}",
                errno(self.ioctl_errno)
            ),
            Outcome::UnderWay => format!("the driver has not answered for {took}"),
        }
    }

    /// Who made it.
    pub fn requester(&self) -> String {
        // Most names that are not one word in the kernel have blanks.
        format!("{} (pid {})", self.comm.replace("\\x20", " "), self.pid)
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (change, answer) = (&self.change, self.answer());
        write!(f, "{change}, {answer}; by {}", self.requester())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, duration: u64, errno: &str, ioctl: &str) -> String {
        format!(
            "request={number} time=9.793776 from=RUNNING to=STOP duration={duration} \
             errno={errno} ioctl={ioctl} later=1 pid=42 comm=CPU\\x200/KVM\n"
        )
    }

    fn one(duration: u64, errno: &str, ioctl: &str) -> Request {
        let parsed = Request::parse_all(&line(7, duration, errno, ioctl));
        parsed.expect("a request").remove(0)
    }

    #[test]
    fn each_outcome_is_told_in_words() {
        for (errno, ioctl, outcome, text) in [
            ("0", "0", Outcome::Succeeded, "done in 600.0 ms"),
            (
                "5",
                "5",
                Outcome::Failed,
                "failed after 600.0 ms with EIO (I/O error)",
            ),
            (
                "0",
                "24",
                Outcome::Undelivered,
                "done in 600.0 ms, but the process did not get the answer: EMFILE (Too many open files)",
            ),
            (
                "-",
                "-",
                Outcome::UnderWay,
                "the driver has not answered for 600.0 ms",
            ),
        ] {
            let request = one(600_000, errno, ioctl);
            assert_eq!(request.outcome(), outcome);
            let expected = format!("RUNNING -> STOP, {text}; by CPU 0/KVM (pid 42)");
            assert_eq!(request.to_string(), expected);
            assert_eq!(request.hangs(), outcome == Outcome::UnderWay);
        }
        assert!(!one(499_999, "-", "-").hangs());
    }

    #[test]
    fn what_the_kernel_cannot_write_is_refused() {
        let good = line(7, 1, "0", "0");
        assert!(Request::parse_all(&good).is_ok());
        for (from, to) in [
            ("STOP", "Invalid"),
            ("STOP", "-"),
            ("STOP", "0x100000000"),
            ("RUNNING", ""),
            ("errno=0", "errno=-5"),
            ("errno=0", "errno=70000"),
            ("time=9.", "time="),
            ("pid=42", ""),
            ("comm=", "comm=\x1b"),
            ("request=7", "request=-7"),
        ] {
            let wrong = good.replacen(from, to, 1);
            assert!(Request::parse_all(&wrong).is_err(), "{wrong}");
        }
        let gap = line(7, 1, "0", "0") + &line(9, 1, "0", "0");
        assert!(Request::parse_all(&gap).is_err());
        let unknown = good.replacen("RUNNING", "-", 1).replacen("STOP", "0x4d", 1);
        let request = &Request::parse_all(&unknown).expect("a request")[0];
        assert_eq!(request.change.to_string(), "unknown -> 0x4d");
    }
}
