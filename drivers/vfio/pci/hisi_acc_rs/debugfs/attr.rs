// SPDX-License-Identifier: GPL-2.0

//! `attr`: what the device is and what became of its last sessions.

use crate::{
    device::HisiAcc,
    history::{
        role_name,
        History,
        Record, //
    },
    mig::{
        MigratableVf,
        VfState, //
    },
    open::{
        OpenVf, //
        VfConfig,
    },
    reject::Reject, //
};
use kernel::{
    device::Bound,
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use vfio::{
    debugfs::File,
    device::Device,
    migration::MachineGuard, //
};

/// The file.
pub(crate) struct Attr;

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

/// Whether the guest's driver has set the function up, if the function can be asked now.
fn driver_ready(dev: &Device<HisiAcc, Bound>, mig: &MigratableVf, open: &OpenVf) -> Option<bool> {
    let _awake = dev.core().runtime_pm_get_if_active()?;
    let accessible = !mig.machine.in_reset() && !open.vf.hw().pf.is_stopped();
    let vf = open.vf.access(dev.pdev()).ok()?;
    accessible.then(|| vf.driver_ready())
}

/// `identity` is what the VF has, as far as that is known; nothing while it is closed.
fn print_queues(m: &SeqFile, identity: Option<VfConfig>, driver_ready: Option<bool>) {
    let queues = identity.map(|identity| identity.queues);
    let isolation = identity.map(|identity| identity.expected.isolation);
    seq_print!(m, "queue base: {}\n", Maybe(queues.map(|q| q.base)));
    seq_print!(m, "queue count: {}\n", Maybe(queues.map(|q| q.count)));
    seq_print!(m, "isolation: {}\n", Maybe(isolation));
    seq_print!(m, "driver ready: {}\n", Maybe(driver_ready.map(yes_no)));
}

fn print_state(m: &SeqFile, owner: &MachineGuard<'_, VfState>) {
    if owner.open.is_none() {
        seq_print!(m, "device state: closed\n");
        return;
    }
    seq_print!(m, "device state: {}\n", owner.state().name());
    if let Some((arc, error)) = owner.failed() {
        let (from, to) = arc.ends();
        seq_print!(
            m,
            "failed: {} to {}, error {}\n",
            from.name(),
            to.name(),
            -error.to_errno()
        );
    }
}

fn print_record(m: &SeqFile, record: Option<&Record>) {
    match record {
        Some(record) => {
            seq_print!(m, "data valid: {}\n", yes_no(record.is_complete()));
            seq_print!(m, "data size: {}\n", record.session.bytes());
            let role = role_name(record.session.role());
            seq_print!(m, "session: {} {}\n", record.id, role);
            seq_print!(m, "source: {}\n", record.origin.name());
            seq_print!(m, "outdated: {}\n", yes_no(record.outdated));
        }
        None => {
            seq_print!(m, "data valid: no\n");
            seq_print!(m, "data size: 0\n");
            seq_print!(m, "session: none\n");
            seq_print!(m, "source: none\n");
            seq_print!(m, "outdated: no\n");
        }
    }
}

/// `reject` is what has been refused of the session that is under way.
fn print_history(m: &SeqFile, history: &History, reject: Option<Reject>) {
    let refused = history.current().zip(reject);
    match refused.or(history.refused) {
        Some((id, reject)) => seq_print!(m, "refused: session {}, {}\n", id, reject),
        None => seq_print!(m, "refused: none\n"),
    }
    for entry in history.sessions.iter() {
        seq_print!(m, "history: {}\n", entry);
    }
    for failure in history.failures.iter() {
        seq_print!(m, "failure: {}\n", failure);
    }
}

#[vtable]
impl File for Attr {
    type Ops = HisiAcc;

    const NAME: &'static CStr = c"attr";

    fn show(dev: &Device<HisiAcc, Bound>, m: &SeqFile) -> Result {
        let mig = dev.mig().ok_or(ENODEV)?;
        // All of it is of one moment.
        mig.machine.with(|owner| {
            let open = owner.open.as_ref();
            let ready = open.and_then(|open| driver_ready(dev, mig, open));

            seq_print!(m, "engine: {}\n", owner.hw.engine.name());
            seq_print!(
                m,
                "hardware version: {}\n",
                HwVersion(owner.hw.pf.version())
            );
            seq_print!(m, "registers: {}\n", mig.mode().name());
            seq_print!(m, "function: {}\n", owner.hw.function);
            print_queues(m, open.and(owner.identity), ready);
            print_state(m, owner);
            print_record(m, owner.history.last.as_ref());
            print_history(m, &owner.history, owner.reject());
        });
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_attr)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn versions_have_their_names_and_others_their_number() -> Result {
        for (version, text) in [
            (0x30, b"V3 (0x30)".as_slice()),
            (0x50, b"V4 (0x50)"),
            (0x51, b"V5 (0x51)"),
            (0x52, b"0x52"),
        ] {
            let shown = CString::try_from_fmt(fmt!("{}", HwVersion(version)))?;
            assert_eq!(shown.to_bytes(), text);
        }
        Ok(())
    }
}
