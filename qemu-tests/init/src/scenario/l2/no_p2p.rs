// SPDX-License-Identifier: GPL-2.0

//! QEMU takes several VFs that can migrate only if their driver has the P2P states, which the C
//! driver has not.

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use monitor::{Guest, NotStarted, Role, Vmm};
use protocol::Setup;
use vm::engine::ZIP;

use crate::expect::equal;
use crate::host::Host;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    let guest = Guest::new(vec![ZIP.kind])?;
    report.point("QEMU starts with one VF", || {
        Vmm::start("one", Role::Boots, host.kind, &host.vfs[..1], &guest)?.quit()
    });
    // What is wrong with two is that they are to migrate.
    report.point("QEMU starts with two VFs that are not to migrate", || {
        Vmm::start_unmigratable("unmigratable", host.kind, &host.vfs, &guest)?.quit()
    });
    report.point(
        "QEMU refuses two VFs that are to migrate without P2P",
        || {
            for vf in &host.vfs {
                let features = monitor::features(vf)?;
                let p2p = features.iter().any(|feature| feature == "p2p");
                ensure!(!p2p && !features.is_empty(), "{vf} has {features:?}");
            }
            let two = Vmm::start("two", Role::Boots, host.kind, &host.vfs, &guest);
            let error = two.err().context("it starts")?;
            control::show(format!("QEMU says: {error:#}"));
            let refusal = error.downcast::<NotStarted>().context("it was to end")?;
            equal("exit status", refusal.status.code(), Some(1))
        },
    );
    ZIP0.report_violations(report, host.driver.is_rust());
    Ok(())
}
