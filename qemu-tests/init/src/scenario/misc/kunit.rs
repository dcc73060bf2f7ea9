// SPDX-License-Identifier: GPL-2.0

//! Loads our modules and passes on what their unit tests say.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use control::Report;
use linux::sysfs;
use protocol::Setup;

use crate::host;

const RESULTS: &str = "/sys/kernel/debug/kunit";

fn suites() -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(RESULTS).with_context(|| format!("cannot list {RESULTS}"))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let before = suites()?;
    host::load_zip(&modules, "")?;
    host::load_vfio(&modules)?;
    modules.load("hisi_acc_vfio_pci_rs")?;
    // Whatever has suites beside these brings the kernel's own, which are not asked about here.
    let mut ours = 0;
    for suite in suites()?.difference(&before) {
        let text = sysfs::read(format!("{RESULTS}/{suite}/results"))?;
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let is = |start: &str| {
            lines
                .iter()
                .any(|line| line.trim_start().starts_with(start))
        };
        ours += 1;
        report.subtest(suite, &lines, is("ok ") && !is("not ok "));
    }
    report.point("our modules bring suites", || {
        ensure!(
            ours > 0,
            "no suite appeared in {RESULTS}; is CONFIG_KUNIT on?"
        );
        Ok(())
    });
    Ok(())
}
