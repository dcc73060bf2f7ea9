// SPDX-License-Identifier: GPL-2.0
//! What happens while guests migrate, as the emulated host tells it and the test host reads it:
//! one JSON object a line.

#![forbid(unsafe_code)]

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
            What::Leg(leg) => {
                tell(host, &mut leg.from);
                tell(other, &mut leg.to);
            }
            What::Load(_) => {}
        }
        self
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A VF was seen in another state than before (`migration/state` in VFIO's debugfs).
    State { vf: String, state: String },
    /// A VM monitor said something unasked (QMP event).
    Monitor { vmm: String, event: String },
    /// The guest told how far its work is.
    Load(Load),
    /// A VF's sessions after a leg (`history` lines of the driver's `attr`).
    History { vf: String, sessions: Vec<String> },
    /// A leg is done; the host that the guest has left tells it.
    Leg(Leg),
}

/// How far a guest's work is, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Requests that an accelerator has done.
    pub done: u64,
    /// Requests that have failed.
    pub failed: u64,
    /// Buffers that came back with other bytes.
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

/// A guest's way from one VM monitor to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
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
    /// Requests that the guest has done meanwhile.
    pub requests: u64,
}
