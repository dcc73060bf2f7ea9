// SPDX-License-Identifier: GPL-2.0

//! Error numbers by name.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Result, decimal, no};

/// An error number of Linux. It is written as its name, `EIO`, or as a number if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Errno(pub i32);

impl Errno {
    /// No such data.
    pub const ENODATA: Self = Errno(nix::errno::Errno::ENODATA as i32);
    /// No such file.
    pub const ENOENT: Self = Errno(nix::errno::Errno::ENOENT as i32);
    /// No permission.
    pub const EACCES: Self = Errno(nix::errno::Errno::EACCES as i32);

    /// The number in an error of the standard library.
    pub fn of(error: &std::io::Error) -> Self {
        Errno(error.raw_os_error().unwrap_or(0))
    }

    /// Reads a positive number, or 0 for success.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        // The largest that the kernel uses.
        let number = decimal(text)
            .ok()
            .filter(|number| (0..=4095).contains(number));
        number.map(Errno).ok_or_else(|| no("errno", text))
    }

    /// What the number says, in a few words.
    pub fn description(self) -> &'static str {
        nix::errno::Errno::from_raw(self.0).desc()
    }
}

impl Display for Errno {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => write!(f, "error {}", self.0),
            known => write!(f, "{known:?}"),
        }
    }
}
