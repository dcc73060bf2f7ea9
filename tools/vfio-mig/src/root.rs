// SPDX-License-Identifier: GPL-2.0

//! The files of a host: those of the running one, or a saved copy.
//!
//! In a saved copy each file is below the folder at the same path. A file that could not be read
//! when the copy was made is replaced by a file with `.errno` after its name, which has the
//! number of the error.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::errno::Errno;

/// Suffix of the file that says how reading another one failed.
pub const ERRNO_SUFFIX: &str = ".errno";

/// No file that is read here is larger.
const LIMIT: u64 = 1 << 20;

/// Where the files of a host are.
#[derive(Clone, Debug)]
pub struct Root {
    folder: PathBuf,
    saved: bool,
}

/// Why a file has no contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("is not there")]
    Absent,
    /// The read failed.
    #[error("cannot be read: {0}, {text}", text = .0.description())]
    Failed(Errno),
}

impl Root {
    /// The running host, or its files saved in `folder`.
    pub fn new(folder: Option<&Path>) -> Self {
        Root {
            folder: folder.unwrap_or(Path::new("/")).to_owned(),
            saved: folder.is_some(),
        }
    }

    /// Whether this is a saved copy.
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// The place of a file with this absolute path.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// If the file does not exist, cannot be read now or could not when it was saved.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let place = self.path(path);
        let mut bytes = Vec::new();
        let result = File::open(&place).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
        match result {
            Ok(_) => Ok(bytes),
            Err(error) if Errno::of(&error) != Errno::ENOENT => {
                Err(ReadError::Failed(Errno::of(&error)))
            }
            Err(_) => Err(self.saved_error(path).unwrap_or(ReadError::Absent)),
        }
    }

    fn saved_error(&self, path: &str) -> Option<ReadError> {
        let text = fs::read_to_string(self.path(&format!("{path}{ERRNO_SUFFIX}"))).ok()?;
        let number = text.split_whitespace().next()?.parse().ok()?;
        Some(ReadError::Failed(Errno(number)))
    }

    /// The text of a file. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    ///
    /// As [`Root::bytes`].
    pub fn text(&self, path: &str) -> Result<String, ReadError> {
        let bytes = self.bytes(path)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The trimmed text of a file that has one line, if it can be read.
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path).ok()?;
        Some(text.trim().to_owned())
    }

    /// The number in a file, decimal or with 0x in front.
    pub fn number(&self, path: &str) -> Option<u64> {
        let line = self.line(path)?;
        match line.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => line.parse().ok(),
        }
    }

    /// Where a symbolic link leads, which may be nothing.
    pub fn link_target(&self, path: &str) -> Option<PathBuf> {
        fs::read_link(self.path(path)).ok()
    }

    /// The last part of where a symbolic link leads.
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = self.link_target(path)?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether there is a file, a folder or a link.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// The sorted names in a folder.
    ///
    /// # Errors
    ///
    /// If there is no such folder or it cannot be read.
    pub fn names(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let entries = fs::read_dir(self.path(path)).map_err(|error| match Errno::of(&error) {
            Errno::ENOENT => self.saved_error(path).unwrap_or(ReadError::Absent),
            errno => ReadError::Failed(errno),
        })?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names)
    }
}
