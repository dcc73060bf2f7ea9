// SPDX-License-Identifier: GPL-2.0

//! Orders to a guest.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// An order to a guest, by its name on the control port.
#[derive(Clone, Copy)]
pub enum Order {
    /// Load the VF's driver, and work.
    Work,
    /// End the work, and unload the driver.
    Rest,
    /// Reset the VF.
    Reset,
    /// Reset the VF over and over from now on.
    KeepResetting,
    /// Do not reset the VF any more. Fails if it was not reset once.
    EndResetting,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Work => "work",
            Order::Rest => "rest",
            Order::Reset => "reset",
            Order::KeepResetting => "keep-resetting",
            Order::EndResetting => "end-resetting",
        }
    }
}

/// The pipe to the control port of a monitor's guest. Each monitor has its own: one that waits for
/// a guest would take away what is meant for another's.
pub(crate) struct Orders(File);

impl Orders {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let _ = fs::remove_file(path);
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .with_context(|| format!("cannot create {}", path.display()))?;
        // For both, so that it opens without a reader.
        Ok(Orders(
            OpenOptions::new().read(true).write(true).open(path)?,
        ))
    }

    pub(crate) fn send(&mut self, line: &str) -> Result<()> {
        Ok(self.0.write_all(format!("{line}\n").as_bytes())?)
    }
}
