// SPDX-License-Identifier: GPL-2.0

//! The kernel's own driver probes the emulated device and its VFs, and has nothing to complain
//! about.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;

use super::{Log, self_test_passed};
use crate::expect;
use crate::host;

fn no_complaints(log: &mut Log) -> Result<()> {
    let mut complaints = log.complaints()?;
    // The drivers were built beside the kernel where a distribution leaves them out.
    complaints.retain(|line| !line.ends_with("loading out-of-tree module taints kernel."));
    ensure!(
        complaints.is_empty(),
        "the kernel complained:\n{}",
        complaints.join("\n")
    );
    Ok(())
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let mut log = Log::follow()?;
    let pf = host::load_zip(&modules, "")?;
    report.point("the PF probes", || {
        expect::equal("driver of the PF", pf.driver().as_deref(), Some("hisi_zip"))
    });
    report.point("the self-test passes", self_test_passed);
    report.point("no complaint of the kernel", || no_complaints(&mut log));
    report.point("two VFs with hisi_zip", || {
        pf.enable_vfs(2, true)?;
        for vf in [pf.virtual_function(0)?, pf.virtual_function(1)?] {
            let driver = vf.driver();
            expect::equal(
                &format!("driver of {vf}"),
                driver.as_deref(),
                Some("hisi_zip"),
            )?;
        }
        Ok(())
    });
    report.point("an IOMMU group for each function", || {
        let functions = [pf.clone(), pf.virtual_function(0)?, pf.virtual_function(1)?];
        let groups: HashSet<String> = functions
            .iter()
            .map(Function::iommu_group)
            .collect::<Result<_>>()?;
        expect::equal("groups of three functions", groups.len(), 3)
    });
    report.point("no complaint of the kernel about the VFs", || {
        no_complaints(&mut log)
    });
    report.point("VFs go away", || {
        sysfs::write(pf.path("sriov_numvfs"), "0")?;
        expect::equal("VFs", pf.number("sriov_numvfs")?, 0)
    });
    report.point("no complaint of the kernel at the end", || {
        no_complaints(&mut log)
    });
    // A device that finds fault with the kernel's own driver is wrong, not the driver.
    ZIP0.report_violations(report, true);
    Ok(())
}
