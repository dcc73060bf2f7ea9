// SPDX-License-Identifier: GPL-2.0

//! Text files in a device's `migration/` directory, and what they can ask of the device.

use kernel::{
    prelude::*,
    seq_file::SeqFile, //
};

#[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
use crate::history::History;
use crate::migration_features::Features;

pub(crate) use crate::bindings::vfio_device_mig_state as MigState;

/// A device that can migrate.
pub(crate) trait MigratableDevice {
    /// Returns the migration state, as reported by the driver.
    ///
    /// Sleeps while the driver is busy with a transition. The driver may return a value that the
    /// uAPI does not define.
    fn state(&self) -> Result<MigState>;

    /// Returns the features of the device. Bits that the uAPI does not define are kept.
    fn migration_features(&self) -> Features;

    /// Returns whether the device logs which pages it writes.
    fn logs_dirty_pages(&self) -> bool;

    /// Returns the last requests for states, unless there was no memory for them.
    #[cfg(CONFIG_VFIO_DEBUGFS_HISTORY)]
    fn history(&self) -> Option<&History>;
}

/// A text file in a device's `migration/` directory.
pub(crate) trait SeqFileOps {
    /// The name of the file.
    const NAME: &'static CStr;

    /// Prints the content of the file to `seq`. `read(2)` fails with the returned error.
    fn show(device: &impl MigratableDevice, seq: &SeqFile) -> Result;
}
