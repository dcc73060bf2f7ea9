// SPDX-License-Identifier: GPL-2.0

//! Orders to a guest.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

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

    pub(crate) fn send(&mut self, line: impl Display) -> Result<()> {
        Ok(self.0.write_all(format!("{line}\n").as_bytes())?)
    }
}
