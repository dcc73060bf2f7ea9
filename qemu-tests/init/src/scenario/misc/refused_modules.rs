// SPDX-License-Identifier: GPL-2.0

//! Modules that the kernel must refuse, each in a folder that is named after what is wrong with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;

use crate::expect::equal;
use crate::modules::Modules;

const FOLDER: &str = "/modules/refused";

/// A module, and what is wrong with it.
pub(super) struct Refused {
    pub(super) fault: String,
    pub(super) file: PathBuf,
}

/// The modules that the runner has given this machine.
pub(super) fn all() -> Result<Vec<Refused>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(FOLDER).with_context(|| format!("cannot read {FOLDER}"))? {
        let folder = folder?;
        for file in fs::read_dir(folder.path())? {
            found.push(Refused {
                fault: folder.file_name().to_string_lossy().into_owned(),
                file: file?.path(),
            });
        }
    }
    ensure!(!found.is_empty(), "{FOLDER} is empty");
    Ok(found)
}

/// Whether the machine has such modules.
pub(super) fn are_there() -> bool {
    Path::new(FOLDER).exists()
}

/// `module`, or a module that it needs, is refused for `wanted`.
pub(super) fn refuses(modules: &Modules, module: &str, wanted: Errno) -> Result<()> {
    let Err(error) = modules.load(module) else {
        bail!("{module} was loaded");
    };
    let errno = error.root_cause().downcast_ref::<Errno>();
    equal("errno", errno, Some(&wanted)).with_context(|| format!("{error:#}"))
}
