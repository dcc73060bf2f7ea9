// SPDX-License-Identifier: GPL-2.0

//! A kernel with versions of its symbols: it accepts only modules that were built for them.

use anyhow::{Result, ensure};
use control::{Report, ZIP0};
use protocol::Setup;
use rustix::io::Errno;

use super::refused_modules::{self, refuses};
use crate::host;
use crate::modules::is_loaded;
use crate::scenario::support::fixture::Fixture;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let driver = host::module_of(setup.driver.unwrap_or_default());
    for refused in refused_modules::all()? {
        let name = format!("the driver is refused: {}", refused.fault);
        report.point(&name, || {
            let modules = host::modules(setup)?.with(&refused.file)?;
            refuses(&modules, driver, Errno::INVAL)?;
            ensure!(!is_loaded(driver), "{driver} is loaded");
            Ok(())
        });
    }
    report.point("the one with the kernel's versions works", || {
        Fixture::new(setup, 1)?.work().map(drop)
    });
    ZIP0.report_violations(report, true);
    Ok(())
}
