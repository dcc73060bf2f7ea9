// SPDX-License-Identifier: GPL-2.0

//! The load generators of the kernel, in its module `crypto_check`, which also check.

use std::iter::Sum;
use std::ops::{Add, Sub};

use anyhow::{Context, Result};
use linux::sysfs;
use protocol::Engine;
use vm::engine::Accelerator;

const FOLDER: &str = "/sys/kernel/debug/crypto_check";

/// One of them, for a kind of algorithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check(&'static str);

/// Deflate, by `hisi_zip`.
pub(crate) const ACOMP: Check = Check("acomp");
/// AES in three modes, by `hisi_sec2`.
const SKCIPHER: Check = Check("skcipher");
/// RSA, by `hisi_hpre`.
const AKCIPHER: Check = Check("akcipher");
/// Diffie-Hellman on the curve P-256, by `hisi_hpre`.
const KPP: Check = Check("kpp");

/// The loads that keep the driver of an accelerator at work, and check it.
pub(crate) fn of(accelerator: &Accelerator) -> &'static [Check] {
    match accelerator.kind {
        Engine::Zip => &[ACOMP],
        Engine::Sec => &[SKCIPHER],
        Engine::Hpre => &[AKCIPHER, KPP],
    }
}

impl Check {
    /// Processes that many buffers, drawn from `seed`; returns when they are done.
    pub(crate) fn run(self, buffers: u64, seed: u64) -> Result<()> {
        let file = format!("{FOLDER}/{}/run", self.0);
        sysfs::write(file, &format!("{buffers} {seed}"))
    }

    /// The results so far.
    pub(crate) fn results(self) -> Result<Results> {
        let text = sysfs::read(format!("{FOLDER}/{}/result", self.0))?;
        Results::parse(&text)
    }
}

/// The results of all runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Results {
    pub(crate) buffers: u64,
    /// Buffers about which device and software do not agree.
    pub(crate) mismatches: u64,
    /// Buffers that did not come back.
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
    /// Requests that the device has done, and not its driver's fallback.
    pub(crate) hardware: u64,
}

impl Results {
    fn parse(text: &str) -> Result<Self> {
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

    /// The results since `before`.
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

impl Add for Results {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Results {
            buffers: self.buffers + other.buffers,
            mismatches: self.mismatches + other.mismatches,
            errors: self.errors + other.errors,
            bytes: self.bytes + other.bytes,
            hardware: self.hardware + other.hardware,
        }
    }
}

impl Sum for Results {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Results::default(), Results::add)
    }
}
