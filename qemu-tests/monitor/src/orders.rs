// SPDX-License-Identifier: GPL-2.0

//! Orders to a guest.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use rustix::fs::OFlags;

use super::port::pipe;

/// The pipe to the control port of a monitor's guest. Each monitor has its own: one that waits for
/// a guest would take away what is meant for another's.
pub struct Orders(File);

impl Orders {
    /// Makes the pipe.
    pub fn new(path: &Path) -> Result<Self> {
        pipe(path, OFlags::empty()).map(Orders)
    }

    pub(crate) fn send(&mut self, line: impl Display) -> Result<()> {
        Ok(self.0.write_all(format!("{line}\n").as_bytes())?)
    }
}

/// The way to a guest's control port.
impl AsMut<Orders> for Orders {
    fn as_mut(&mut self) -> &mut Orders {
        self
    }
}
