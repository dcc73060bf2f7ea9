// SPDX-License-Identifier: GPL-2.0

//! The symbols that an object file defines and needs, as llvm-nm lists them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The symbols of an object file, or of all in an archive.
#[derive(Debug)]
pub struct Symbols {
    /// Names that are defined there, local ones too.
    pub defined: BTreeSet<String>,
    /// Names that others must define.
    pub needed: BTreeSet<String>,
}

impl Symbols {
    /// Reads those of `object`.
    ///
    /// # Errors
    ///
    /// If there is no such file, llvm-nm cannot read it, or it has no symbols at all.
    pub fn of(object: &Path) -> Result<Self> {
        let names = |which: &str| -> Result<BTreeSet<String>> {
            let output = Command::new("llvm-nm-19")
                .args([which, "--format=just-symbols", "--quiet"])
                .arg(object)
                .output()
                .context("cannot run llvm-nm-19")?;
            ensure!(
                output.status.success(),
                "{}: {}",
                object.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            let text = String::from_utf8(output.stdout)?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        let symbols = Self {
            defined: names("--defined-only")?,
            needed: names("--undefined-only")?,
        };
        ensure!(
            !symbols.defined.is_empty(),
            "{} defines nothing",
            object.display()
        );
        Ok(symbols)
    }

    /// The symbols that the object exports to modules: before modpost has seen it, or in a module.
    pub fn exports(&self) -> BTreeSet<&str> {
        let exported = |name: &'_ String| -> Option<usize> {
            ["__export_symbol_", "__ksymtab_"]
                .iter()
                .find(|prefix| name.starts_with(**prefix))
                .map(|prefix| prefix.len())
        };
        self.defined
            .iter()
            .filter_map(|name| Some(&name[exported(name)?..]))
            .collect()
    }

    /// Whether any of it was compiled from Rust.
    pub fn has_rust(&self) -> bool {
        self.defined.iter().any(|name| name.starts_with("_R"))
    }
}
