// SPDX-License-Identifier: GPL-2.0

//! Hardware update of translation tables (HTTU) by the emulated SMMU, which
//! `qemu-tests/qemu/patches` adds to QEMU, and what Linux does with it.

#![forbid(unsafe_code)]

mod common;

use std::process::Command;

use anyhow::{Result, ensure};
use common::run;
use protocol::{FurtherWrites, Iotlb, Scenario};
use runner::{Artifacts, Machine};

/// The test that comes with the patches, as QEMU's `make check` would run it.
#[test]
fn qemus_own_test_of_httu() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let output = Command::new(&artifacts.httu_test)
        .args(["--tap", "-k"])
        .env("QTEST_QEMU_BINARY", &artifacts.qemu)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().filter(|line| line.starts_with("ok ")).count();
    ensure!(
        output.status.success() && passed > 0 && text.contains(&format!("1..{passed}\n")),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Checks what iommufd reports, on an SMMU that does that for a write to a page that it has marked.
fn dirty_tracking(iotlb: Iotlb) -> Result<()> {
    // Linux 7.3 does not invalidate the TLB after it has cleared the dirty state.
    let further = match iotlb {
        Iotlb::Keeps if !Artifacts::load()?.fixed => FurtherWrites::Missed,
        _ => FurtherWrites::Reported,
    };
    let scenario = Scenario::DirtyTracking {
        further: Some(further),
    };
    run(Machine::new(scenario).function("edu").httu(iotlb))?.expect_clean()
}

#[test]
fn pages_that_are_written_are_reported() -> Result<()> {
    dirty_tracking(Iotlb::Walks)
}

/// With `KERNEL=fixed`, which has the fix of `qemu-tests/kernel/patches`, it misses none.
#[test]
fn linux_misses_further_writes_if_the_tlb_keeps_entries() -> Result<()> {
    dirty_tracking(Iotlb::Keeps)
}
