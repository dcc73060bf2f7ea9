// SPDX-License-Identifier: GPL-2.0
//! Guests at work migrate: on the emulated Kunpeng host everything is real, QEMU and KVM
//! included, but for the accelerators and the CPU.

#![forbid(unsafe_code)]

use anyhow::Result;
use host::{Artifacts, Scenario};

/// A guest's way to the other VF and back.
fn round_trip() -> Scenario {
    Scenario::new("guest-at-work")
        .with("rounds", "1")
        .hypervisor()
        .within(600)
}

fn run_clean(scenario: Scenario) -> Result<()> {
    scenario
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_clean()
}

#[test]
fn migrates_and_comes_back() -> Result<()> {
    run_clean(round_trip())
}

/// A VF of each engine, all at work: what the P2P states are for.
#[test]
fn three_vfs_migrate_and_come_back() -> Result<()> {
    run_clean(round_trip().engines("zip,sec,hpre").within(900))
}

#[test]
fn several_vfs_of_the_c_driver_are_refused() -> Result<()> {
    let scenario = Scenario::new("guest-refused").with("driver", "c");
    scenario
        .hypervisor()
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

/// Refused, cancelled, killed. With a VF of SEC as well, which is of no use to a guest with ZIP's.
#[test]
fn stays_at_work_where_it_is_when_a_migration_fails() -> Result<()> {
    let scenario = Scenario::new("guest-stays").accelerator("sec0", "hisi-sec");
    run_clean(scenario.hypervisor().within(900))
}

#[test]
fn loads_unloads_and_reboots_while_it_migrates() -> Result<()> {
    run_clean(Scenario::new("guest-changes").hypervisor().within(900))
}

#[test]
fn pauses_and_is_restored_from_a_file() -> Result<()> {
    run_clean(Scenario::new("guest-pauses").hypervisor().within(900))
}

#[test]
fn works_on_after_its_vf_failed() -> Result<()> {
    run_clean(Scenario::new("guest-fails").hypervisor().within(900))
}
