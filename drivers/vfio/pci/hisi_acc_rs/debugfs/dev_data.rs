// SPDX-License-Identifier: GPL-2.0

//! `dev_data`: what the device's migration data would be now.

use super::access::with_registers;
use crate::{
    device::HisiAcc,
    open::OpenVf,
    stream, //
};
use kernel::{
    device::Bound,
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
pub(crate) struct DevData;

#[vtable]
impl File for DevData {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"dev_data";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        let data = with_registers(dev, |vf, registers| {
            Ok(OpenVf::snapshot_live(registers, &vf.config.ok_or(ENODATA)?))
        })?;
        let loaded = data.image().vf_state.get() == stream::READY;

        hex_dump(m, c"Dev Data:", data.image().registers());
        seq_print!(m, "guest driver load: {}\n", u32::from(loaded));
        seq_print!(m, "data size: {}\n", data.as_slice().len());
        Ok(())
    }
}
