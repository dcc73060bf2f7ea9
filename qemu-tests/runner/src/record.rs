// SPDX-License-Identifier: GPL-2.0

//! Keeps the files that vfio-mig's reports have of emulated hosts, for its own tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use protocol::{Driver, Scenario};
use serde_json::Value;

use crate::{Artifacts, Machine};

/// What of a report is not recorded: what vfio-mig says about the host, and what differs with each
/// machine that builds the kernel.
const LEFT_OUT: [&str; 3] = ["answers", "kernel-log.txt", "proc/version"];

/// A piece of a report, as the scenario sends it: `<moment> <path> <kind> <json>`.
#[derive(Debug, PartialEq)]
pub struct Piece {
    /// The moment at which the report was written.
    pub moment: String,
    /// Where it is in the report.
    pub path: PathBuf,
    contents: Contents,
}

#[derive(Debug, PartialEq)]
enum Contents {
    Folder,
    File(Vec<u8>),
    Link(String),
}

impl Piece {
    /// Reads a line of the scenario.
    pub fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [moment, path, kind, json] = words[..] else {
            bail!("line {line:?}");
        };
        let path = PathBuf::from(path);
        let is_inside = path.components().all(|c| matches!(c, Component::Normal(_)));
        ensure!(is_inside, "{} is not in the report", path.display());
        let contents = match (kind, serde_json::from_str(json)?) {
            ("folder", Value::Null) => Contents::Folder,
            ("file", Value::String(text)) => Contents::File(text.into_bytes()),
            ("bytes", Value::String(hex)) => Contents::File(bytes(&hex)?),
            ("link", Value::String(target)) => Contents::Link(target),
            _ => bail!("line {line:?}"),
        };
        Ok(Piece {
            moment: moment.to_owned(),
            path,
            contents,
        })
    }

    /// Whether it is recorded.
    fn is_recorded(&self) -> bool {
        !LEFT_OUT.iter().any(|name| self.path.starts_with(name))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let place = folder.join(&self.path);
        let parent = place.parent().context("no parent")?;
        fs::create_dir_all(parent)?;
        match &self.contents {
            Contents::Folder => fs::create_dir_all(&place)?,
            Contents::File(bytes) => fs::write(&place, bytes)?,
            Contents::Link(target) => symlink(target, &place)?,
        }
        Ok(())
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    ensure!(hex.is_ascii() && hex.len() % 2 == 0, "{hex:?}");
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).with_context(|| format!("{pair:?}")))
        .collect()
}

/// Runs the scenario with both drivers, and replaces the recorded files by what it sends.
pub fn run(artifacts: &Artifacts, folder: &Path) -> Result<()> {
    let mut pieces = Vec::new();
    for driver in [Driver::Rust, Driver::C] {
        let machine = Machine::new(Scenario::Tool).driver(driver);
        let outcome = machine.run(artifacts, |line| println!("{line}"))?;
        outcome.expect_clean()?;
        for line in &outcome.dump {
            pieces.push((driver, Piece::parse(line)?));
        }
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let kept = pieces.iter().filter(|(_, piece)| piece.is_recorded());
    for (driver, piece) in kept {
        let moment = folder.join(format!("{driver}-{}", piece.moment));
        piece
            .write(&moment)
            .with_context(|| piece.path.display().to_string())?;
    }
    println!("recorded: {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_and_stay_in_their_folder() -> Result<()> {
        let piece = Piece::parse(r#"failed proc/mounts file "none\n""#)?;
        assert_eq!(piece.contents, Contents::File(b"none\n".to_vec()));
        assert!(piece.is_recorded());
        assert!(!Piece::parse(r#"failed proc/version file "Linux\n""#)?.is_recorded());
        assert!(!Piece::parse("failed answers/x folder null")?.is_recorded());
        let stream = Piece::parse(r#"failed stream.bin bytes "00ff""#)?;
        assert!(stream.is_recorded());
        assert_eq!(stream.contents, Contents::File(vec![0, 0xff]));
        for wrong in [
            "failed",
            "failed /etc/passwd folder null",
            "failed ../x folder null",
            "failed x file null",
            r#"failed x bytes "0""#,
            r#"failed x bytes "é""#,
        ] {
            assert!(Piece::parse(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }
}
