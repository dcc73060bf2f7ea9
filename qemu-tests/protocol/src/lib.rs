// SPDX-License-Identifier: GPL-2.0

//! What the runner and the program in an emulated host share: the scenario that the program is to
//! run, the lines of the [control channel](channel), and reports of guests that migrate, one JSON
//! object a line.

#![forbid(unsafe_code)]

pub mod channel;
mod parameters;
mod scenario;

pub use parameters::*;
pub use scenario::{Scenario, Setup, Task};

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the emulated host's clock, in microseconds since 1970.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// As an event of one of two hosts, whose VFs and monitors have the same names as `other`'s.
    pub fn on(mut self, host: &str, other: &str) -> Self {
        let tell = |host: &str, name: &mut String| *name = format!("{host} {name}");
        match &mut self.what {
            What::State { vf, .. } | What::History { vf, .. } => tell(host, vf),
            What::Monitor { vmm, .. } => tell(host, vmm),
            What::Migration(record) => {
                tell(host, &mut record.from);
                tell(other, &mut record.to);
            }
            What::Load { .. } => {}
        }
        self
    }
}

/// The kind of event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A VF was seen in another state than before (`migration/state` in VFIO's debugfs).
    State { vf: String, state: String },
    /// A VM monitor sent a QMP event.
    Monitor { vmm: String, event: String },
    /// The guest reported how far its work is.
    Load { engines: Loads },
    /// A VF's sessions after a leg (`history` lines of the driver's `attr`).
    History { vf: String, sessions: Vec<String> },
    /// A leg is done; reported by the host that the guest has left.
    #[serde(rename = "leg")]
    Migration(MigrationRecord),
}

/// How far a guest's work is, by engine: `zip`, `sec`, `hpre`.
pub type Loads = BTreeMap<String, Load>;

/// How far work is, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Requests that an accelerator has done.
    pub done: u64,
    /// Requests that have failed.
    pub failed: u64,
    /// Buffers about which an accelerator and software do not agree.
    pub corrupted: u64,
    /// Requests that were given up, as they did not come back. Known only when the work is over.
    pub lost: u64,
}

impl Load {
    /// Whether every request came back, and with the right bytes.
    pub fn is_flawless(&self) -> bool {
        self.failed == 0 && self.corrupted == 0 && self.lost == 0
    }
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Load {
            done: self.done + other.done,
            failed: self.failed + other.failed,
            corrupted: self.corrupted + other.corrupted,
            lost: self.lost + other.lost,
        }
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Load::default(), Load::add)
    }
}

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Load {
            done,
            failed,
            corrupted,
            lost,
        } = self;
        write!(
            f,
            "{done} done, {lost} lost, {failed} failed, {corrupted} corrupted"
        )
    }
}

/// A guest's way from one VM monitor to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// From 1.
    pub number: u32,
    /// The VFs that the guest had, by spaces.
    pub from: String,
    /// The VFs that the guest has now.
    pub to: String,
    /// QEMU's figure of how long the guest stood still, in milliseconds.
    pub downtime: u64,
    /// QEMU's figure of how long all of it took, in milliseconds.
    pub total: u64,
    /// QEMU's figure of what was sent, in bytes.
    pub transferred: u64,
    /// Bytes of it that were the devices' state.
    pub device_state: u64,
    /// Bytes of the guest's memory that were sent while it stood still.
    pub downtime_bytes: u64,
    /// How often QEMU has looked for dirty pages.
    pub passes: u64,
    /// Requests that the guest has done meanwhile.
    pub requests: u64,
    /// Pages that the VFs had written, which were compared when all was sent.
    pub pages_compared: u64,
    /// Those of them that were not the same at the destination.
    pub pages_differing: u64,
}

/// The arcs of a session, from a `history` line of the driver's `attr`, without what is usual. In
/// `arcs=RUNNING>STOP:12:0,..` 12 is microseconds, 0 the errno.
pub fn arcs(session: &str) -> Option<String> {
    let (_, arcs) = session.split_once("arcs=")?;
    let told = arcs.split(',').filter_map(|arc| {
        let (rest, error) = arc.rsplit_once(':')?;
        let (arc, time) = rest.rsplit_once(':')?;
        let failed = match error {
            "0" => String::new(),
            error => format!(" failed with {error}"),
        };
        Some(format!("{arc} {time}{failed}"))
    });
    Some(told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arcs_are_told_with_their_failures() {
        let session = "session=1 role=save bytes=176 arcs=RUNNING>STOP:12:0,STOP>STOP_COPY:3:-5";
        assert_eq!(
            arcs(session).unwrap(),
            "RUNNING>STOP 12, STOP>STOP_COPY 3 failed with -5"
        );
    }

    #[test]
    fn loads_survive_the_way() {
        let load = Load {
            done: 7,
            lost: 1,
            ..Load::default()
        };
        let engines = Loads::from([("hpre".to_owned(), load), ("zip".to_owned(), load)]);
        let event = Event {
            at: 12,
            what: What::Load { engines },
        };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn a_record_of_a_migration_is_a_leg() {
        let record = MigrationRecord {
            number: 1,
            from: "a".to_owned(),
            to: "b".to_owned(),
            downtime: 2,
            total: 3,
            transferred: 4,
            device_state: 5,
            downtime_bytes: 7,
            passes: 8,
            requests: 6,
            pages_compared: 9,
            pages_differing: 10,
        };
        let event = Event {
            at: 12,
            what: What::Migration(record),
        };
        let line = serde_json::to_string(&event).unwrap();
        assert!(line.contains(r#""what":"leg""#), "{line}");
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn loads_add_up() {
        let load = Load {
            done: 1,
            failed: 2,
            corrupted: 3,
            lost: 4,
        };
        let sum: Load = [load, load].into_iter().sum();
        assert_eq!(sum.to_string(), "2 done, 8 lost, 4 failed, 6 corrupted");
        assert!(!sum.is_flawless());
    }
}
