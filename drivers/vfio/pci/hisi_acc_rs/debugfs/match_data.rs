// SPDX-License-Identifier: GPL-2.0

//! `match`: what the device's match data say, to compare it with another host's.

use crate::device::HisiAcc;
use kernel::{
    device::Bound,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use vfio::{
    debugfs::File,
    device::Device, //
};

/// The file.
pub(crate) struct Match;

#[vtable]
impl File for Match {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"match";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        let migratable = dev.migratable().ok_or(ENODEV)?;
        let config = migratable.machine.with(|vf| vf.config).ok_or(ENODATA)?;

        for (field, value) in config.local_device.fields() {
            seq_print!(m, "{}: {:#x}\n", field.name(), value);
        }
        Ok(())
    }
}
