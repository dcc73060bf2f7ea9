// SPDX-License-Identifier: GPL-2.0

//! Hardware update of translation tables (HTTU) by the emulated SMMU, which
//! `qemu-tests/qemu/patches` adds to QEMU, and what Linux does with it.

#![forbid(unsafe_code)]

mod common;

use std::process::Command;

use anyhow::{Result, ensure};
use common::run;
use protocol::{Iotlb, Scenario};
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

fn dirty_tracking(iotlb: Iotlb) -> Result<()> {
    let machine = Machine::new(Scenario::DirtyTracking { iotlb: Some(iotlb) });
    let machine = machine.function("edu").smmu(match iotlb {
        Iotlb::Keeps => "httu=dirty",
        Iotlb::Walks => "httu=dirty,x-httu-walk-writes=on",
    });
    run(machine)?.expect_clean()
}

#[test]
fn pages_that_are_written_are_reported() -> Result<()> {
    dirty_tracking(Iotlb::Walks)
}

/// Linux 7.3 does not invalidate the TLB after it has cleared the dirty state. When it does, this
/// fails.
#[test]
fn linux_misses_further_writes_if_the_tlb_keeps_entries() -> Result<()> {
    dirty_tracking(Iotlb::Keeps)
}
