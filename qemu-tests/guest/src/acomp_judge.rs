// SPDX-License-Identifier: GPL-2.0

//! The load generator of the kernel, `acomp_judge`, which also judges.

use std::ops::Sub;

use anyhow::{Context, Result};

use crate::sysfs;

const FOLDER: &str = "/sys/kernel/debug/acomp_judge";

/// Has that many buffers done, drawn from `seed`; returns when they are.
pub(crate) fn run(buffers: u64, seed: u64) -> Result<()> {
    sysfs::write(format!("{FOLDER}/run"), &format!("{buffers} {seed}"))
}

/// What came out, of all runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Results {
    pub(crate) buffers: u64,
    /// Buffers that came back with other bytes, by device and software or the other way.
    pub(crate) mismatches: u64,
    /// Buffers that did not come back.
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
    /// Requests that the device has done, and not its driver's fallback.
    pub(crate) hardware: u64,
}

impl Results {
    pub(crate) fn read() -> Result<Self> {
        let text = sysfs::read(format!("{FOLDER}/result"))?;
        let number = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once(": "));
            pairs
                .find(|(name, _)| *name == key)
                .and_then(|(_, value)| value.parse().ok())
                .with_context(|| format!("result has no number of {key}: {text:?}"))
        };
        Ok(Results {
            buffers: number("buffers")?,
            mismatches: number("mismatches")?,
            errors: number("errors")?,
            bytes: number("bytes")?,
            hardware: number("hardware")?,
        })
    }
}

impl Sub for Results {
    type Output = Self;

    /// What came out since `before`.
    fn sub(self, before: Self) -> Self {
        Results {
            buffers: self.buffers - before.buffers,
            mismatches: self.mismatches - before.mismatches,
            errors: self.errors - before.errors,
            bytes: self.bytes - before.bytes,
            hardware: self.hardware - before.hardware,
        }
    }
}
