// SPDX-License-Identifier: GPL-2.0

//! `migf_data`: `data` in the form that the C driver gives it.

use crate::{
    device::HisiAcc,
    wire,
    LocalModule, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use vfio::{
    debugfs::{
        hex_dump,
        File, //
    },
    device::Device, //
};

/// The file.
pub(crate) struct MigfData;

impl File for MigfData {
    type Ops = HisiAcc;
    type Module = LocalModule;

    const NAME: &'static CStr = c"migf_data";

    fn show(dev: &Device<HisiAcc>, m: &SeqFile) -> Result {
        let mig = dev.mig().ok_or(ENODEV)?;
        let data = mig
            .owner
            .with(|owner| owner.history.last.clone())
            .map(|record| record.data())
            .filter(|data| data.as_slice().len() >= wire::MATCH_SIZE)
            .ok_or(ENODATA)?;

        hex_dump(m, c"Mig Data:", data.registers());
        seq_print!(m, "migrate data length: {}\n", data.as_slice().len());
        Ok(())
    }
}
