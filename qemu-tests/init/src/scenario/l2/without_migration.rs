// SPDX-License-Identifier: GPL-2.0

//! A guest whose VF cannot migrate, though its driver is one for VFs that can: it works as with
//! vfio-pci, and QEMU does not let the guest go.

use anyhow::{Result, ensure};
use control::{Report, ZIP0};
use monitor::{Guest, Vmm};
use protocol::Setup;
use serde_json::json;
use vm::engine::ZIP;

use super::migrate_under_load::{WITHIN, WORK};
use crate::host::Host;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 1)?;
    let guest = Guest::new(vec![ZIP.kind])?;
    let mut vmm = Vmm::start_unmigratable("plain", host.kind, &host.vfs, &guest)?;
    report.point("the guest's driver comes up and works", || {
        guest.is_up(WITHIN)?;
        guest.does(WORK, WITHIN)
    });
    report.point("QEMU refuses to migrate the guest", || {
        let answer = vmm.execute("migrate", json!({ "uri": "tcp:127.0.0.1:1" }));
        ensure!(answer.is_err(), "QEMU says {answer:?}");
        Ok(())
    });
    report.point("the guest works on, and every request came back", || {
        guest.does(WORK, WITHIN)?;
        let load = guest.end(&mut vmm, WITHIN)?;
        vmm.wait(WITHIN)?;
        ensure!(load.is_flawless(), "{load:?}");
        Ok(())
    });
    ZIP0.report_violations(report, true);
    Ok(())
}
