// SPDX-License-Identifier: GPL-2.0

//! Guests at work migrate: on the emulated Kunpeng host everything is real, QEMU and KVM
//! included, but for the accelerators and the CPU.

#![forbid(unsafe_code)]

use anyhow::Result;
use protocol::{
    AgainstReset, Container, Driver, Engine, Iotlb, List, Multifd, Peer, ResetBy, Scenario,
    Switchover,
};
use runner::soak::Soak;
use runner::{Artifacts, Machine, Suite};

/// A guest's way to the other VF and back.
fn round_trip() -> Machine {
    switches_over(None)
}

/// The same, with a choice of when QEMU stops the guest.
fn switches_over(switchover: Option<Switchover>) -> Machine {
    moves(switchover, None)
}

fn moves(switchover: Option<Switchover>, multifd: Option<Multifd>) -> Machine {
    let scenario = Scenario::GuestAtWork {
        rounds: Some(1),
        cancel: None,
        switchover,
        stop_first: None,
        multifd,
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

/// With iommufd and QEMU's default of `enable-migration`, the guest works until all of its memory
/// was sent: what the VF writes meanwhile is known by DMA logging alone.
#[test]
fn migrates_with_iommufd_after_all_was_sent() -> Result<()> {
    run_clean(switches_over(Some(Switchover::AllSent)).container(Container::Iommufd))
}

/// The same with the QEMU of backports, and all engines at work.
#[test]
fn migrates_with_iommufd_after_all_was_sent_by_the_qemu_of_backports() -> Result<()> {
    let machine = switches_over(Some(Switchover::AllSent)).monitor(Suite::TrixieBackports);
    let machine = machine.engines([Engine::Zip, Engine::Sec, Engine::Hpre]);
    run_clean(machine.container(Container::Iommufd))
}

/// What the SMMU's TLB does with an entry that is writable: Linux invalidates it in time if it has
/// the fix.
fn iotlb(artifacts: &Artifacts) -> Iotlb {
    match artifacts.fixed {
        true => Iotlb::Keeps,
        false => Iotlb::Walks,
    }
}

/// With an SMMU that marks dirty pages, QEMU's own limits suffice, and the guest need not be
/// stopped first, although the driver knows nothing of it.
#[test]
fn migrates_by_the_defaults_of_qemu_with_the_c_driver_if_the_smmu_tracks_pages() -> Result<()> {
    let machine = switches_over(Some(Switchover::Default)).container(Container::Iommufd);
    run_clean(machine.driver(Driver::C).httu(iotlb(&Artifacts::load()?)))
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

/// Of what Debian has, the QEMU that is newer than its stable release's, which sends and loads the
/// VF in a thread of its own.
#[test]
fn migrates_with_the_qemu_of_backports_hardware_v5() -> Result<()> {
    let machine = moves(None, Some(Multifd::Yes)).monitor(Suite::TrixieBackports);
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

/// A save or a load fails because the VF does: QEMU resets the VF, and the guest works on.
#[test]
fn works_on_after_its_vf_failed() -> Result<()> {
    run_clean(Machine::new(Scenario::GuestFails).hypervisor().within(1800))
}

/// A VF is reset in every possible way while QEMU pauses its guest, migrates it, cancels that, and
/// quits. `Documentation/errnos.rst` has how to run all of it.
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

/// What was reported of other devices, tried with guests; `Documentation/errnos.rst` has the
/// reports.
#[test]
fn works_on_in_cases_that_were_reported() -> Result<()> {
    run_clean(
        Machine::new(Scenario::GuestReported)
            .hypervisor()
            .within(1800),
    )
}

/// Guests at work migrate between two emulated Kunpeng hosts with a network between them.
mod two_hosts {
    use anyhow::{Context, Result, ensure};
    use protocol::{
        Container, DmaLogging, Driver, Engine, Failure, HostName, Scenario, Switchover,
    };
    use runner::migrate::{Summary, events};
    use runner::{Artifacts, Outcome, Pair, two_hosts};

    fn run(pair: Pair) -> Result<[Outcome; 2]> {
        pair.run(&Artifacts::load()?, |line| println!("{line}"))
    }

    fn run_clean(pair: Pair) -> Result<()> {
        two_hosts::check(&run(pair)?, Outcome::expect_clean)
    }

    /// A guest's way to the other host and back, with a choice of when QEMU stops the guest.
    fn switches_over(switchover: Option<Switchover>) -> Pair {
        let pair = Pair::new(|host| Scenario::GuestBetween {
            host,
            rounds: Some(1),
            switchover,
        });
        pair.both(|host| host.within(1800))
    }

    /// Both hosts have to be clean, and the guest to come back, with these drivers of its VFs.
    fn comes_back(pair: Pair, drivers: [Driver; 2]) -> Result<()> {
        let outcomes = run(pair)?;
        two_hosts::check(&outcomes, Outcome::expect_clean)?;
        Summary::of(&events(&outcomes)?).check(drivers)
    }

    /// A guest's way to the other host and back, with these drivers and those of VFIO.
    fn round_trip(drivers: [Driver; 2], vfio: [Driver; 2]) -> Result<()> {
        let pair = switches_over(None).drivers(drivers).vfio(vfio);
        comes_back(pair, drivers)
    }

    #[test]
    fn migrates_to_another_host_and_back() -> Result<()> {
        round_trip([Driver::Rust; 2], [Driver::Rust; 2])
    }

    /// The drivers leave it to an SMMU to mark dirty pages. Its TLB keeps no writable entries, unless
    /// Linux has the fix that invalidates them.
    #[test]
    fn migrates_by_the_defaults_of_qemu_if_the_smmu_tracks_pages() -> Result<()> {
        let iotlb = super::iotlb(&Artifacts::load()?);
        let pair = switches_over(Some(Switchover::Default)).both(|host| {
            let host = host.engines([Engine::Zip, Engine::Sec, Engine::Hpre]);
            let host = host.container(Container::Iommufd);
            host.dma_logging(DmaLogging::Off).httu(iotlb)
        });
        comes_back(pair, [Driver::Rust; 2])
    }

    #[test]
    fn stays_at_work_where_it_is_when_the_network_fails() -> Result<()> {
        let pair = Pair::new(|host| Scenario::GuestCutOff { host });
        run_clean(pair.both(|host| host.within(1800)))
    }

    /// From a host with all of Linux's own, to one with ours, and back.
    #[test]
    fn migrates_from_the_c_driver_and_back() -> Result<()> {
        round_trip([Driver::C, Driver::Rust], [Driver::C, Driver::Rust])
    }

    /// What is reported of two hosts of which some fail on purpose: of the first machine that is
    /// named, and of `second`.
    fn told([a, b]: [Failure; 2], second: &str) -> Result<(String, String)> {
        let pair = Pair::new(|host| Scenario::HostFails {
            host,
            fails: Some(match host {
                HostName::A => a,
                HostName::B => b,
            }),
        });
        let failed = run_clean(pair);
        let told = format!("{:#}", failed.err().context("neither has failed")?);
        let (cause, rest) = told.split_once(second).with_context(|| told.clone())?;
        Ok((cause.to_owned(), rest.to_owned()))
    }

    #[test]
    fn a_host_ends_when_the_other_one_fails() -> Result<()> {
        let (cause, rest) = told([Failure::Tells, Failure::No], "machine b")?;
        let expected = "machine a: bailed out";
        ensure!(
            cause.starts_with(expected) && cause.contains("on purpose"),
            "{cause}"
        );
        let expected = "the other host has failed: the guest moves: on purpose";
        ensure!(rest.contains(expected), "{rest}");
        Ok(())
    }

    /// Nothing in its network says so.
    #[test]
    fn a_host_ends_when_the_other_one_dies() -> Result<()> {
        let (cause, rest) = told([Failure::No, Failure::Dies], "machine a")?;
        let expected = "the machine stopped before its scenario ended";
        ensure!(
            cause.starts_with("machine b") && cause.contains(expected),
            "{cause}"
        );
        ensure!(
            rest.contains(expected) && rest.contains("machine b"),
            "{rest}"
        );
        Ok(())
    }
}
