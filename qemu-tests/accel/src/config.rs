// SPDX-License-Identifier: GPL-2.0

//! Parameters that are fixed when a device is created.

use crate::profile::Profile;
use crate::regs;
use crate::revision::Revision;
use crate::revision::UnknownRevision;

/// Why a device cannot be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such hardware generation.
    #[error(transparent)]
    Revision(#[from] UnknownRevision),
    /// The number does not fit the queue number field of `TOTAL_QP` and of a VFT entry.
    #[error("total-qps is {0}; it must be between 2 and 1024")]
    TotalQps(u16),
    /// V2 has no register for this number, so its drivers assume the maximum.
    #[error("total-qps is {0}; hardware V2 has 1024")]
    TotalQpsOfV2(u16),
    /// The number does not fit the 64-bit message registers.
    #[error("total-vfs is {0}; it must be between 1 and 63")]
    TotalVfs(u16),
}

/// Configuration of a device; fixed for its lifetime, except for the latency.
#[derive(Debug, Clone)]
pub struct Config {
    /// The engine and its capability registers.
    pub profile: &'static Profile,
    /// Hardware generation.
    pub revision: Revision,
    /// Queue pairs of the whole device (2..=1024, on V2 1024), which the PF driver assigns to the functions.
    pub total_qps: u16,
    /// Maximum number of VFs (1..=63).
    pub total_vfs: u16,
    /// Time from the fetch of a request to its completion in nanoseconds; the engine adds some for each byte.
    pub latency_ns: u64,
    /// Duration of a mailbox command that has nothing to wait for, in nanoseconds.
    pub mailbox_ns: u64,
}

impl Config {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// Returns an error for the first field that is out of range.
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
