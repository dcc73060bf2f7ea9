// SPDX-License-Identifier: GPL-2.0

//! Files under debugfs: their names, modes and what they say.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where VFIO core has its directory.
pub(crate) const VFIO: &str = "/sys/kernel/debug/vfio";

/// The directory of a device.
pub(crate) fn device(name: &str) -> PathBuf {
    Path::new(VFIO).join(name)
}

/// Everything under a folder, sorted, folders before what is in them.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut inside: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    inside.sort();
    for path in inside {
        let is_folder = path.is_dir();
        found.push(path.clone());
        if is_folder {
            found.extend(entries(&path)?);
        }
    }
    Ok(found)
}

/// Returns the content of the whole file.
pub(crate) fn content(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line for each file and folder, and the content of each file, or how reading it failed.
pub(crate) fn describe(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for path in entries(folder)? {
        let about = fs::symlink_metadata(&path)
            .with_context(|| format!("cannot look at {}", path.display()))?;
        let name = path.display();
        lines.push(format!(
            "{name} {:o} {}:{}",
            about.mode(),
            about.uid(),
            about.gid()
        ));
        if !about.is_file() {
            continue;
        }
        match content(&path) {
            Ok(text) => lines.extend(text.lines().map(|line| format!("{name}: {line}"))),
            Err(error) => lines.push(format!("{name}: {error}")),
        }
    }
    Ok(lines)
}
