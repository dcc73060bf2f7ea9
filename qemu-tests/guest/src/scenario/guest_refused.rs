// SPDX-License-Identifier: GPL-2.0

//! QEMU takes several VFs that can migrate only if their driver has the P2P states, which the C
//! driver has not.

use anyhow::{Result, bail, ensure};

use crate::Options;
use crate::control::{self, Report};
use crate::engine::ZIP;
use crate::host::Host;
use crate::vmm::{Guest, Role, Vmm};

const REFUSAL: &str =
    "Multiple VFIO devices migration is supported only if all of them support P2P migration";

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let host = Host::prepare(options, 2)?;
    let guest = Guest::new(&[&ZIP])?;
    report.point("QEMU starts with one VF", || {
        Vmm::start("one", Role::Boots, host.kind, &host.vfs[..1], &guest)?.quit()
    });
    report.point("QEMU refuses two VFs", || {
        match Vmm::start("two", Role::Boots, host.kind, &host.vfs, &guest) {
            Ok(_) => bail!("it starts"),
            Err(error) => {
                let told = format!("{error:#}");
                ensure!(told.contains(REFUSAL), "{told}");
                control::line(&format!("@show {told}"));
                Ok(())
            }
        }
    });
    control::report_violations(report, host.driver.is_rust());
    Ok(())
}
