// SPDX-License-Identifier: GPL-2.0

//! The file `migration/history`: the last requests for states of a device.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    file::{
        MigratableDevice,
        SeqFileOps, //
    }, //
};

/// The file `migration/history`.
pub(crate) struct HistoryFile;

impl SeqFileOps for HistoryFile {
    const NAME: &'static CStr = c"history";

    /// Prints one request per line, oldest first, or nothing if there was none.
    fn show(device: &impl MigratableDevice, seq: &SeqFile) -> Result {
        let Some(history) = device.history() else {
            return Ok(());
        };

        for line in history.lines()? {
            seq_print!(seq, "{line}\n");
        }
        Ok(())
    }
}
