// SPDX-License-Identifier: GPL-2.0

//! Hardware update of translation tables (HTTU) by the emulated SMMU, which
//! `qemu-tests/qemu/patches` adds to QEMU.

#![forbid(unsafe_code)]

use std::process::Command;

use anyhow::{Result, ensure};
use runner::Artifacts;

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
