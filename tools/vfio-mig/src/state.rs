// SPDX-License-Identifier: GPL-2.0

//! States of the migration protocol.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A state of `enum vfio_device_mig_state` in `<linux/vfio.h>`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The device has failed, and only a reset ends that.
    Error,
    /// The device stands still.
    Stop,
    /// The device works.
    Running,
    /// The device stands still, and its state is read.
    StopCopy,
    /// The device stands still, and its state is written.
    Resuming,
    /// The device works, and does not access other devices.
    #[serde(rename = "RUNNING_P2P")]
    RunningP2p,
    /// The device works, and a part of its state is read.
    PreCopy,
    /// PRE_COPY and RUNNING_P2P at once.
    #[serde(rename = "PRE_COPY_P2P")]
    PreCopyP2p,
    /// The core does not know the state.
    #[serde(rename = "Invalid")]
    Invalid,
}

impl State {
    /// All states.
    pub const ALL: [Self; 9] = [
        State::Error,
        State::Stop,
        State::Running,
        State::StopCopy,
        State::Resuming,
        State::RunningP2p,
        State::PreCopy,
        State::PreCopyP2p,
        State::Invalid,
    ];

    /// The name that debugfs shows.
    pub const fn name(self) -> &'static str {
        match self {
            State::Error => "ERROR",
            State::Stop => "STOP",
            State::Running => "RUNNING",
            State::StopCopy => "STOP_COPY",
            State::Resuming => "RESUMING",
            State::RunningP2p => "RUNNING_P2P",
            State::PreCopy => "PRE_COPY",
            State::PreCopyP2p => "PRE_COPY_P2P",
            State::Invalid => "Invalid",
        }
    }

    /// What the state means to an operator.
    pub const fn meaning(self) -> &'static str {
        match self {
            State::Error => "the device has failed; only a reset ends that",
            State::Stop => "the device stands still, as its guest is paused or has left",
            State::Running => "the device works for its guest, or has none",
            State::StopCopy => "the guest stands still, and the device's state is sent",
            State::Resuming => "the device waits for the state of a guest",
            State::RunningP2p => "the device works; it is about to stop or has just started",
            State::PreCopy => "the guest works while it migrates away",
            State::PreCopyP2p => "the guest is about to stop, to migrate away",
            State::Invalid => "the driver gives a state that the kernel does not know",
        }
    }

    /// Whether migration data go out of or into the device in this state.
    pub const fn is_in_session(self) -> bool {
        matches!(
            self,
            State::StopCopy | State::Resuming | State::PreCopy | State::PreCopyP2p
        )
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| UnknownState(name.to_owned()))
    }
}

/// A text that is not the name of a state.
#[derive(Debug, thiserror::Error)]
#[error("there is no state {0:?}")]
pub struct UnknownState(String);

/// A part of the migration protocol that a driver offers: a line of `migration/features`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Feature(pub String);

impl Feature {
    /// The state of a stopped device can be read and written.
    pub const STOP_COPY: &'static str = "stop-copy";
    /// The device has the P2P states.
    pub const P2P: &'static str = "p2p";
    /// Data are sent while the device works.
    pub const PRE_COPY: &'static str = "pre-copy";
    /// The device tracks the pages that it writes.
    pub const DIRTY_TRACKING: &'static str = "dirty-tracking";

    /// Reads the file `migration/features`.
    pub fn parse_all(text: &str) -> Vec<Self> {
        text.split_whitespace()
            .map(|name| Feature(name.to_owned()))
            .collect()
    }
}
