// SPDX-License-Identifier: GPL-2.0

//! Where a side of a comparison is: on this host, in saved files, in a single file, or on another
//! host.

mod ssh;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::device::{self, Device};
use crate::hisi::hex_dump::HexDump;
use crate::hisi::image;
use crate::hisi::match_data::MatchData;
use crate::migration_data;
use crate::root::Root;

/// A place by its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A VF of the host that the other options select.
    Here(String),
    /// A VF in saved files.
    Saved(PathBuf, String),
    /// The only device in saved files.
    OnlyOne(PathBuf),
    /// A file with match data or with a session's data.
    File(PathBuf),
    /// A VF of another host.
    Ssh(String, String),
}

/// What is known about a side.
#[derive(Clone, Debug)]
pub enum Side {
    /// A device.
    Device(Box<Device>),
    /// Only what a stream must have, or has.
    Match(MatchData),
}

/// Whether this is a PCI address or a UUID.
fn is_device_name(text: &str) -> bool {
    let hex =
        |part: &str, len: usize| part.len() == len && part.chars().all(|c| c.is_ascii_hexdigit());
    let pci = || -> Option<bool> {
        let (rest, function) = text.rsplit_once('.')?;
        let parts: Vec<&str> = rest.split(':').collect();
        let [domain, bus, slot] = parts[..] else {
            return None;
        };
        Some(
            (4..=8).contains(&domain.len())
                && hex(domain, domain.len())
                && hex(bus, 2)
                && hex(slot, 2)
                && hex(function, 1),
        )
    };
    let parts: Vec<&str> = text.split('-').collect();
    let is_uuid = parts.len() == 5
        && parts
            .iter()
            .zip([8, 4, 4, 4, 12])
            .all(|(part, len)| hex(part, len));
    is_uuid || pci().unwrap_or(false)
}

impl Place {
    /// Reads the text of an argument.
    ///
    /// # Errors
    ///
    /// If it is none of the forms.
    pub fn parse(text: &str) -> Result<Self> {
        if is_device_name(text) {
            return Ok(Place::Here(text.to_owned()));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Place::OnlyOne(path.to_owned()));
        }
        if path.exists() {
            return Ok(Place::File(path.to_owned()));
        }
        let split = text
            .match_indices(':')
            .map(|(at, _)| (&text[..at], &text[at + 1..]))
            .find(|(_, name)| is_device_name(name));
        match split {
            Some((folder, name)) if Path::new(folder).is_dir() => {
                Ok(Place::Saved(folder.into(), name.to_owned()))
            }
            Some((host, name)) if !host.is_empty() && !host.starts_with('-') => {
                Ok(Place::Ssh(host.to_owned(), name.to_owned()))
            }
            _ => bail!(
                "{text}: neither a VF such as 0000:01:00.1, nor HOST:VF, nor a file or folder"
            ),
        }
    }

    /// Reads what there is.
    ///
    /// # Errors
    ///
    /// If there is nothing, or it cannot be read.
    pub fn read(&self, root: &Root) -> Result<Side> {
        let device = |root: &Root, name: &str| {
            Device::read(root, name).map(|device| Side::Device(Box::new(device)))
        };
        match self {
            Place::Here(name) => device(root, name),
            Place::Saved(folder, name) => {
                device(&Root::new(Some(folder)), name).with_context(|| folder.display().to_string())
            }
            Place::OnlyOne(folder) => {
                let root = Root::new(Some(folder));
                only_one(&root, folder)
                    .and_then(|name| device(&root, &name))
                    .with_context(|| folder.display().to_string())
            }
            Place::File(file) => match_file(file).with_context(|| file.display().to_string()),
            Place::Ssh(host, name) => {
                let copy = ssh::fetch(host, name)?;
                device(&Root::new(Some(copy.path())), name).with_context(|| host.clone())
            }
        }
    }
}

fn only_one(root: &Root, folder: &Path) -> Result<String> {
    let mut names = device::names(root);
    match names.len() {
        0 => bail!("there are no files of a VFIO device"),
        1 => Ok(names.remove(0)),
        _ => bail!("say which: {}:{}", folder.display(), names.join(" or ")),
    }
}

/// `match`, or the match data of a session.
fn match_file(file: &Path) -> Result<Side> {
    let bytes = migration_data::read(file)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.starts_with("magic: ") {
        return Ok(Side::Match(MatchData::parse(&text)?));
    }
    let bytes: Vec<Option<u8>> = match HexDump::is_one(&text) {
        true => HexDump::parse(&text)?.bytes,
        false => bytes.into_iter().map(Some).collect(),
    };
    let found = image::match_data(&bytes);
    let is_known = found.magic.is_some_and(image::is_known_magic) && found.isolation.is_some();
    match is_known {
        true => Ok(Side::Match(found)),
        false => bail!("neither `match` nor a session's data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() -> Result<()> {
        let vf = "0000:01:00.1";
        let uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        let here = |name: &str| Place::Here(name.to_owned());
        assert_eq!(Place::parse(vf)?, here(vf));
        assert_eq!(Place::parse(uuid)?, here(uuid));
        let other = Place::Ssh("root@kunpeng2".to_owned(), vf.to_owned());
        assert_eq!(Place::parse("root@kunpeng2:0000:01:00.1")?, other);
        let saved = Place::Saved("src".into(), vf.to_owned());
        assert_eq!(Place::parse("src:0000:01:00.1")?, saved);
        assert_eq!(Place::parse("src")?, Place::OnlyOne("src".into()));
        for wrong in [
            "",
            "-oProxyCommand=x:0000:01:00.1",
            "kunpeng2",
            ":0000:01:00.1",
            "a:$(b)",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }
}
