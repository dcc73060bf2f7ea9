// SPDX-License-Identifier: GPL-2.0

//! Pages of a guest's memory, which the source and the destination of a migration compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Vmm;

/// As the accelerators count, whatever the guest's pages are.
const PAGE: usize = 4096;

/// A hash of each page, by the page's number.
#[derive(Debug, Serialize, Deserialize)]
pub struct PageHashes(BTreeMap<u64, u64>);

/// How the same pages of two monitors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageComparison {
    /// How many were compared.
    pub compared: u64,
    /// How many of them differ.
    pub differing: u64,
}

impl PageHashes {
    /// The pages that have a hash.
    pub fn pages(&self) -> BTreeSet<u64> {
        self.0.keys().copied().collect()
    }

    /// Compares them with the same pages elsewhere.
    pub fn compare(&self, other: &Self) -> PageComparison {
        let differs = |(page, hash): &(&u64, &u64)| other.0.get(page) != Some(*hash);
        PageComparison {
            compared: self.0.len() as u64,
            differing: self.0.iter().filter(differs).count() as u64,
        }
    }
}

impl Display for PageComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            compared,
            differing,
        } = self;
        write!(
            f,
            "of {compared} pages that the VFs wrote, {differing} differ"
        )
    }
}

impl Vmm {
    /// Hashes pages of the guest's memory. The guest must stand still.
    pub fn hash_pages(&mut self, pages: &BTreeSet<u64>) -> Result<PageHashes> {
        let file = PathBuf::from(format!("/tmp/{}.pages", self.name));
        let all: Vec<u64> = pages.iter().copied().collect();
        let mut hashes = BTreeMap::new();
        for run in all.chunk_by(|page, next| page + 1 == *next) {
            let save = json!({
                "val": run[0] * PAGE as u64,
                "size": run.len() * PAGE,
                "filename": file,
            });
            self.execute("pmemsave", save)?;
            let mut saved = BufReader::new(File::open(&file)?);
            for page in run {
                let mut bytes = [0; PAGE];
                let read = saved.read_exact(&mut bytes);
                read.with_context(|| format!("reading page {page:#x} of {}", self.name))?;
                hashes.insert(*page, hash(&bytes));
            }
        }
        let _ = fs::remove_file(&file);
        Ok(PageHashes(hashes))
    }
}

/// The same on both hosts, which run the same program.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(pages: &[(u64, &[u8])]) -> PageHashes {
        PageHashes(pages.iter().map(|(page, b)| (*page, hash(b))).collect())
    }

    #[test]
    fn pages_differ_by_a_byte_or_if_one_lacks() {
        let here = hashes(&[(1, &[7; PAGE]), (2, &[8; PAGE])]);
        let mut other = [8; PAGE];
        let differing = |there: PageHashes| here.compare(&there).differing;
        assert_eq!(differing(hashes(&[(1, &[7; PAGE]), (2, &other)])), 0);
        other[PAGE - 1] = 9;
        assert_eq!(differing(hashes(&[(1, &[7; PAGE]), (2, &other)])), 1);
        assert_eq!(differing(hashes(&[(1, &[7; PAGE])])), 1);
        assert_eq!(differing(hashes(&[])), 2);
    }
}
