// SPDX-License-Identifier: GPL-2.0

//! `attr`: properties of the device, and the history of its sessions.

use super::access;
use crate::{
    device::HisiAcc,
    history::{
        role_name,
        FinishedSession,
        History, //
    },
    mig::{
        MigratableVf,
        VfState, //
    },
    open::VfConfig,
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

/// The file `attr`.
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
struct OrUnknown<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrUnknown<T> {
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

/// Returns whether the guest's driver has set the function up, or `None` if the registers cannot be
/// read now.
fn driver_ready(
    dev: &Device<HisiAcc, Bound>,
    migratable: &MigratableVf,
    vf: &VfState,
) -> Option<bool> {
    let open = vf.open.as_ref()?;
    let _awake = dev.core().runtime_pm_get_if_active()?;
    let accessible = !access::in_reset(migratable, vf);
    let qm = open.qm.bind(dev.pdev()).ok()?;
    accessible.then(|| qm.driver_ready())
}

/// Prints the lines about queues. `config` is `None` if the VF is closed or has never answered.
fn print_queues(m: &SeqFile, config: Option<VfConfig>, driver_ready: Option<bool>) {
    let queues = config.map(|config| config.queues);
    let isolation = config.map(|config| config.local_device.isolation);
    seq_print!(m, "queue base: {}\n", OrUnknown(queues.map(|q| q.base)));
    seq_print!(m, "queue count: {}\n", OrUnknown(queues.map(|q| q.count)));
    seq_print!(m, "isolation: {}\n", OrUnknown(isolation));
    seq_print!(m, "driver ready: {}\n", OrUnknown(driver_ready.map(yes_no)));
}

fn print_state(m: &SeqFile, guard: &MachineGuard<'_, VfState>) {
    if guard.driver().open.is_none() {
        seq_print!(m, "device state: closed\n");
        return;
    }
    seq_print!(m, "device state: {}\n", guard.state().name());
    if let Some((arc, error)) = guard.failed() {
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

fn print_record(m: &SeqFile, record: Option<&FinishedSession>) {
    match record {
        Some(record) => {
            seq_print!(m, "data valid: {}\n", yes_no(record.is_complete()));
            seq_print!(m, "data size: {}\n", record.session.bytes());
            let role = role_name(record.session.direction());
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

/// Prints the lines about past sessions. `reject` is why the data of the current session were
/// refused, if they were.
fn print_history(m: &SeqFile, history: &History, reject: Option<Reject>) {
    let refused = history.current_id().zip(reject);
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
        let migratable = access::migratable(dev)?;
        // One lock for all lines, so that they are consistent.
        migratable.machine.with(|guard| {
            let vf = guard.driver();
            let config = vf.open.as_ref().and(vf.config);
            let ready = driver_ready(dev, migratable, vf);

            seq_print!(m, "engine: {}\n", vf.link.engine.name());
            seq_print!(m, "hardware version: {}\n", HwVersion(vf.link.pf.version()));
            seq_print!(m, "registers: {}\n", migratable.placement().name());
            seq_print!(m, "function: {}\n", vf.link.function);
            seq_print!(m, "dirty tracking: {}\n", migratable.tracking.name());
            print_queues(m, config, ready);
            print_state(m, guard);
            print_record(m, vf.history.last.as_ref());
            print_history(m, &vf.history, guard.reject());
        });
        Ok(())
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_attr)]
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
