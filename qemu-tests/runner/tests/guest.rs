// SPDX-License-Identifier: GPL-2.0

//! Guests at work migrate: on the emulated Kunpeng host everything is real, QEMU and KVM
//! included, but for the accelerators and the CPU.

#![forbid(unsafe_code)]

use anyhow::Result;
use protocol::{AgainstReset, Container, Driver, Engine, List, Peer, ResetBy, Scenario};
use runner::soak::Soak;
use runner::{Artifacts, Machine, Suite};

/// A guest's way to the other VF and back.
fn round_trip() -> Machine {
    let scenario = Scenario::GuestAtWork {
        rounds: Some(1),
        cancel: None,
    };
    Machine::new(scenario).hypervisor().within(1800)
}

fn run_clean(machine: Machine) -> Result<()> {
    machine
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
    run_clean(round_trip().engines([Engine::Zip, Engine::Sec, Engine::Hpre]))
}

/// From hardware V3 to V3, by the C driver at both ends.
#[test]
fn migrates_with_the_c_driver() -> Result<()> {
    run_clean(round_trip().driver(Driver::C))
}

/// The guest begins on the C driver's VF and comes back to it.
#[test]
fn migrates_from_the_c_driver_to_ours_and_back_hardware_v4() -> Result<()> {
    let machine = round_trip().engines([Engine::Hpre]).driver(Driver::C);
    // The C driver misses the VF's window there.
    machine
        .peer(Peer::Other)
        .revision(0x50)
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

/// Of what Debian has, the QEMU that is newer than its stable release's.
#[test]
fn migrates_with_the_qemu_of_backports_hardware_v5() -> Result<()> {
    let machine = round_trip().monitor(Suite::TrixieBackports);
    let machine = machine.engines([Engine::Sec]).container(Container::Iommufd);
    run_clean(machine.revision(0x51))
}

#[test]
fn soaks() -> Result<()> {
    let soak = Soak {
        seed: 1,
        first: 0,
        within: None,
        count: Some(1),
    };
    println!("{}", soak.run(&Artifacts::load()?)?);
    Ok(())
}

#[test]
fn several_vfs_of_the_c_driver_are_refused() -> Result<()> {
    let machine = Machine::new(Scenario::GuestRefused).driver(Driver::C);
    machine
        .hypervisor()
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

// What does not go smoothly was tried with both QEMUs, and differs in what QEMU says at most. Here
// each has one of them. What happens while a guest runs is for type1: by iommufd it is stopped.

/// Refused, cancelled, killed. With a VF of SEC as well, which is of no use to a guest with ZIP's.
#[test]
fn stays_at_work_where_it_is_when_a_migration_fails() -> Result<()> {
    let machine = Machine::new(Scenario::GuestStays).accelerator("sec0", "hisi-sec");
    run_clean(machine.monitor(Suite::TrixieBackports).within(1800))
}

#[test]
fn loads_unloads_and_reboots_while_it_migrates() -> Result<()> {
    run_clean(
        Machine::new(Scenario::GuestChanges)
            .hypervisor()
            .within(1800),
    )
}

#[test]
fn pauses_and_is_restored_from_a_file() -> Result<()> {
    let machine = Machine::new(Scenario::GuestPauses).container(Container::Iommufd);
    run_clean(machine.hypervisor().within(1800))
}

#[test]
fn works_on_after_its_vf_failed() -> Result<()> {
    run_clean(Machine::new(Scenario::GuestFails).hypervisor().within(1800))
}

/// A VF is reset in every possible way while QEMU pauses its guest, migrates it, cancels that, and quits.
/// `Documentation/errnos.rst` has how to run all of it.
fn withstands_resets(driver: Driver) -> Result<()> {
    let scenario = Scenario::GuestResets {
        reset: Some([ResetBy::Hot, ResetBy::Sysfs, ResetBy::Guest].into()),
        against: Some(List(AgainstReset::ALL.to_vec())),
        seconds: Some(4),
    };
    Machine::new(scenario)
        .driver(driver)
        .hypervisor()
        .within(1800)
        .run(&Artifacts::load()?, |line| println!("{line}"))?
        .expect_passed()
}

#[test]
fn qemu_withstands_resets_of_its_vf_with_the_c_driver() -> Result<()> {
    withstands_resets(Driver::C)
}

#[test]
fn qemu_withstands_resets_of_its_vf() -> Result<()> {
    withstands_resets(Driver::Rust)
}

/// What was reported of other devices, tried with guests; `Documentation/errnos.rst` has the reports.
#[test]
fn works_on_in_cases_that_were_reported() -> Result<()> {
    run_clean(
        Machine::new(Scenario::GuestReported)
            .hypervisor()
            .within(1800),
    )
}
