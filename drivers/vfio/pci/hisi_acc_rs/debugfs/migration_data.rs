// SPDX-License-Identifier: GPL-2.0

//! The files that show migration data:
//!
//! - `data`: the data of the last finished session
//! - `migf_data`: the same in the form of the C driver
//! - `dev_data`: what the device's data would be now
//! - `match`: the device's match data, to compare them with another host's

use super::access::{
    self,
    with_registers, //
};
use crate::{
    device::HisiAcc,
    history::FinishedSession,
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

/// The file `data`.
pub(crate) struct Data;

/// The file `migf_data`.
pub(crate) struct MigfData;

/// The file `dev_data`.
pub(crate) struct DevData;

/// The file `match`.
pub(crate) struct Match;

/// Prints the part of the last session's data that `part` selects, and the length of all its data.
fn show_last_session(
    dev: &Device<HisiAcc, Bound>,
    m: &SeqFile,
    part: impl FnOnce(&stream::Data) -> Option<&[u8]>,
) -> Result {
    let migratable = access::migratable(dev)?;
    let data = migratable.machine.with(|guard| {
        let last = guard.driver().history.last.as_ref();
        last.map(FinishedSession::data).ok_or(ENODATA)
    })?;

    hex_dump(m, c"Mig Data:", part(&data).ok_or(ENODATA)?);
    seq_print!(m, "migrate data length: {}\n", data.as_slice().len());
    Ok(())
}

#[vtable]
impl File for Data {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"data";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        show_last_session(dev, m, |data| Some(data.as_slice()))
    }
}

#[vtable]
impl File for MigfData {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"migf_data";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        show_last_session(dev, m, |data| {
            (data.as_slice().len() >= stream::MATCH_SIZE).then(|| data.image().registers())
        })
    }
}

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

#[vtable]
impl File for Match {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"match";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        let migratable = access::migratable(dev)?;
        let config = migratable.machine.with(|guard| guard.driver().config);
        let config = config.ok_or(ENODATA)?;

        for (field, value) in config.local_device.fields() {
            seq_print!(m, "{}: {:#x}\n", field.name(), value);
        }
        Ok(())
    }
}
