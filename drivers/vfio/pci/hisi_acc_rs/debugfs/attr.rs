// SPDX-License-Identifier: GPL-2.0

//! `attr`: what the device is and what became of its last sessions.

use crate::{
    device::HisiAcc,
    doing::{
        Doing,
        Failed, //
    },
    ffi::VfQm,
    matching::{
        Expected,
        Reject, //
    },
    qm::Queues,
    record::Record,
    session::Id,
    LocalModule, //
};
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use vfio::{
    debugfs::File,
    device::Device,
    migration::State, //
};

/// The file.
pub(crate) struct Attr;

/// What is known of an open device only.
struct Opened {
    state: State,
    queues: Queues,
    expected: Expected,
    driver_ready: Option<bool>,
    failed: Option<Failed>,
    /// What has been refused of a session that is not over.
    refused: Option<(Id, Reject)>,
}

/// A version of the queue manager, `enum qm_hw_ver`.
struct HwVersion(u32);

impl fmt::Display for HwVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x30 => write!(f, "V3 ({:#x})", self.0),
            0x50 => write!(f, "V4 ({:#x})", self.0),
            0x51 => write!(f, "V5 ({:#x})", self.0),
            other => write!(f, "{other:#x}"),
        }
    }
}

/// A value that may be unknown.
struct Maybe<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

fn yes_no(value: bool) -> &'static str {
    if value {
        "yes"
    } else {
        "no"
    }
}

fn print_queues(m: &SeqFile, opened: Option<&Opened>) {
    seq_print!(m, "queue base: {}\n", Maybe(opened.map(|o| o.queues.base)));
    seq_print!(
        m,
        "queue count: {}\n",
        Maybe(opened.map(|o| o.queues.count))
    );
    seq_print!(
        m,
        "isolation: {}\n",
        Maybe(opened.map(|o| o.expected.isolation))
    );
    seq_print!(
        m,
        "driver ready: {}\n",
        Maybe(opened.and_then(|o| o.driver_ready).map(yes_no))
    );
}

fn print_state(m: &SeqFile, opened: Option<&Opened>) {
    let Some(opened) = opened else {
        seq_print!(m, "device state: closed\n");
        return;
    };
    seq_print!(m, "device state: {}\n", opened.state.name());
    if let Some(failed) = opened.failed {
        let (from, to) = failed.arc.ends();
        seq_print!(
            m,
            "failed: {} to {}, error {}\n",
            from.name(),
            to.name(),
            -failed.error.to_errno()
        );
    }
}

fn print_sessions(m: &SeqFile, record: Option<&Record>, refused: Option<(Id, Reject)>) {
    match record {
        Some(record) => {
            seq_print!(m, "data valid: {}\n", yes_no(record.data.is_complete()));
            seq_print!(m, "data size: {}\n", record.data.as_slice().len());
            seq_print!(m, "session: {} {}\n", record.id, record.role.name());
            seq_print!(m, "source: {}\n", record.origin.name());
        }
        None => {
            seq_print!(m, "data valid: no\n");
            seq_print!(m, "data size: 0\n");
            seq_print!(m, "session: none\n");
            seq_print!(m, "source: none\n");
        }
    }
    match refused {
        Some((id, reject)) => seq_print!(m, "refused: session {}, {}\n", id, reject),
        None => seq_print!(m, "refused: none\n"),
    }
}

/// Whether the guest's driver has set the function up, if the function can be asked now.
fn driver_ready(dev: &Device<HisiAcc>, in_reset: bool, vf: &VfQm) -> Option<bool> {
    let _awake = dev.awake()?;
    (!in_reset).then(|| vf.driver_ready())
}

impl File for Attr {
    type Ops = HisiAcc;
    type Module = LocalModule;

    const NAME: &'static CStr = c"attr";

    fn show(dev: &Device<HisiAcc>, m: &SeqFile) -> Result {
        let mig = dev.mig().ok_or(ENODEV)?;
        let (opened, record, refused) = mig.owner.with(|owner| {
            let opened = owner.open.as_ref().map(|open| Opened {
                state: open.doing.state(),
                queues: open.queues,
                expected: open.expected,
                driver_ready: driver_ready(dev, mig.owner.in_reset(), &open.vf),
                failed: match open.doing {
                    Doing::Failed(failed) => Some(failed),
                    _ => None,
                },
                refused: match &open.doing {
                    Doing::Resuming(session) => session.reject().map(|reject| (session.id, reject)),
                    _ => None,
                },
            });
            (opened, owner.history.last, owner.history.refused)
        });
        let opened = opened.as_ref();

        seq_print!(m, "engine: {}\n", mig.hw.engine.name());
        seq_print!(m, "hardware version: {}\n", HwVersion(mig.hw.pf.version()));
        seq_print!(m, "registers: {}\n", mig.mode().name());
        seq_print!(m, "function: {}\n", mig.hw.function);
        print_queues(m, opened);
        print_state(m, opened);
        print_sessions(
            m,
            record.as_ref(),
            opened.and_then(|o| o.refused).or(refused),
        );
        mig.owner.with(|owner| {
            for entry in owner.history.sessions.iter() {
                seq_print!(m, "history: {}\n", entry);
            }
        });
        Ok(())
    }
}
