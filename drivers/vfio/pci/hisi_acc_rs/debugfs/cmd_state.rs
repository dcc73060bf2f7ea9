// SPDX-License-Identifier: GPL-2.0

//! `cmd_state`: whether the mailbox is ready for a command.

use super::access::with_registers;
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

/// The file `cmd_state`.
pub(crate) struct CmdState;

#[vtable]
impl File for CmdState {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"cmd_state";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        with_registers(dev, |_, vf| vf.wait_for_mailbox())?;
        seq_print!(m, "mailbox cmd channel ready!\n");
        Ok(())
    }
}
