// SPDX-License-Identifier: GPL-2.0

//! What is decided when a device is made.

use crate::profile::Profile;
use crate::regs;
use crate::revision::Revision;
use crate::revision::UnknownRevision;

/// Why a device cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such hardware generation.
    #[error(transparent)]
    Revision(#[from] UnknownRevision),
    /// The queue number field of `TOTAL_QP` and of a VFT entry has no room for it.
    #[error("total-qps is {0}; it must be between 2 and 1024")]
    TotalQps(u16),
    /// V2 has no register that tells the number, so its drivers take the largest for granted.
    #[error("total-qps is {0}; hardware V2 has 1024")]
    TotalQpsOfV2(u16),
    /// The 64 bit wide message registers have no room for it.
    #[error("total-vfs is {0}; it must be between 1 and 63")]
    TotalVfs(u16),
}

/// Shape of a device; fixed for its life, except for the latency.
#[derive(Debug, Clone)]
pub struct Config {
    /// The engine and its capability registers.
    pub profile: &'static Profile,
    /// Hardware generation.
    pub revision: Revision,
    /// Queue pairs of the whole device (2..=1024, of V2 1024), shared out to the functions by the PF driver.
    pub total_qps: u16,
    /// VFs the device can have (1..=63).
    pub total_vfs: u16,
    /// Nanoseconds from the fetch of a request to its completion; the engine adds some for each byte.
    pub latency_ns: u64,
    /// Nanoseconds that a mailbox command takes which has nothing to wait for.
    pub mailbox_ns: u64,
}

impl Config {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// The first field that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(2..=regs::MAX_QUEUES).contains(&self.total_qps) {
            return Err(ConfigError::TotalQps(self.total_qps));
        }
        if self.revision == Revision::V2 && self.total_qps != regs::MAX_QUEUES {
            return Err(ConfigError::TotalQpsOfV2(self.total_qps));
        }
        if !(1..=regs::MAX_VFS).contains(&self.total_vfs) {
            return Err(ConfigError::TotalVfs(self.total_vfs));
        }
        Ok(())
    }
}
