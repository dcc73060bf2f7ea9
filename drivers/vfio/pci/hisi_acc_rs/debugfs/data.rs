// SPDX-License-Identifier: GPL-2.0

//! `data`: the data of the last session that is over, and `migf_data`: the same in the form that
//! the C driver gives it.

use crate::{
    device::HisiAcc,
    history::FinishedSession,
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

/// The file `data`.
pub(crate) struct Data;

/// The file `migf_data`.
pub(crate) struct MigfData;

/// Prints what `part` takes of the last session's data, and how long all of them are.
fn show(
    dev: &Device<HisiAcc, Bound>,
    m: &SeqFile,
    part: impl FnOnce(&stream::Data) -> Option<&[u8]>,
) -> Result {
    let migratable = dev.migratable().ok_or(ENODEV)?;
    let data = migratable
        .machine
        .with(|vf| vf.history.last.as_ref().map(FinishedSession::data))
        .ok_or(ENODATA)?;

    hex_dump(m, c"Mig Data:", part(&data).ok_or(ENODATA)?);
    seq_print!(m, "migrate data length: {}\n", data.as_slice().len());
    Ok(())
}

#[vtable]
impl File for Data {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"data";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        show(dev, m, |data| Some(data.as_slice()))
    }
}

#[vtable]
impl File for MigfData {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"migf_data";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        show(dev, m, |data| {
            (data.as_slice().len() >= stream::MATCH_SIZE).then(|| data.image().registers())
        })
    }
}
