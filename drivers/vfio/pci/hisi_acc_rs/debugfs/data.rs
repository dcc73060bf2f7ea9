// SPDX-License-Identifier: GPL-2.0

//! `data`: the data of the last session that is over.

use crate::{
    device::HisiAcc,
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
pub(crate) struct Data;

impl File for Data {
    type Ops = HisiAcc;
    type Module = LocalModule;

    const NAME: &'static CStr = c"data";

    fn show(dev: &Device<HisiAcc>, m: &SeqFile) -> Result {
        let mig = dev.mig().ok_or(ENODEV)?;
        let record = mig.owner.with(|owner| owner.history.last.clone());
        let data = record.ok_or(ENODATA)?.data();
        let bytes = data.as_slice();

        hex_dump(m, c"Mig Data:", bytes);
        seq_print!(m, "migrate data length: {}\n", bytes.len());
        Ok(())
    }
}
