// SPDX-License-Identifier: GPL-2.0

//! Copies files of a host into a folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::hisi::hex_dump::withhold;
use crate::hisi::image::is_guest_address;
use crate::root::{ERRNO_SUFFIX, ReadError, Root};

/// A copy that is being made.
pub(super) struct Copy<'r> {
    pub(super) root: &'r Root,
    folder: &'r Path,
    with_guest_addresses: bool,
    count: usize,
}

impl<'r> Copy<'r> {
    pub(super) fn new(root: &'r Root, folder: &'r Path, with_guest_addresses: bool) -> Self {
        Copy {
            root,
            folder,
            with_guest_addresses,
            count: 0,
        }
    }

    /// How many files there are now.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn target(&self, path: &str) -> Result<PathBuf> {
        let target = self.folder.join(path.trim_start_matches('/'));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        Ok(target)
    }

    /// Writes a text.
    pub(super) fn text(&mut self, path: &str, text: &str) -> Result<()> {
        let target = self.target(path)?;
        self.count += 1;
        fs::write(&target, text).with_context(|| target.display().to_string())
    }

    /// Copies a file, or the number of the error for which it cannot be read.
    pub(super) fn file(&mut self, path: &str) -> Result<()> {
        match self.root.text(path) {
            Ok(text) if self.with_guest_addresses => self.text(path, &text),
            Ok(text) => self.text(path, &withhold(&text, is_guest_address)),
            Err(ReadError::Absent) => Ok(()),
            Err(ReadError::Failed(errno)) => self.text(
                &format!("{path}{ERRNO_SUFFIX}"),
                &format!("{} {errno}\n", errno.0),
            ),
        }
    }

    /// Records that a device node is there, by an empty file.
    pub(super) fn node(&mut self, path: &str) -> Result<()> {
        match self.root.exists(path) {
            true => self.text(path, ""),
            false => Ok(()),
        }
    }

    /// Copies a link, which may lead to nothing in the copy.
    pub(super) fn link(&mut self, path: &str) -> Result<()> {
        let Some(to) = self.root.link_target(path) else {
            return Ok(());
        };
        let target = self.target(path)?;
        if fs::symlink_metadata(&target).is_err() {
            self.count += 1;
            symlink(to, &target).with_context(|| target.display().to_string())?;
        }
        Ok(())
    }

    /// Makes an empty folder.
    pub(super) fn folder(&mut self, path: &str) -> Result<()> {
        let target = self.target(path)?;
        fs::create_dir_all(&target).with_context(|| target.display().to_string())
    }
}
