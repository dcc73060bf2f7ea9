// SPDX-License-Identifier: GPL-2.0

//! VMs of init migrate from one VF to another. Each test boots a machine of its own.
//!
//! The order of trust: the C drivers of Linux check the model (`model.rs`), then the C VFIO driver
//! checks init, which acts as the VM, then our driver is checked by both.

#![forbid(unsafe_code)]

mod common;

use anyhow::Result;
use common::{expect_missed_doorbells, run};
use protocol::{Container, Driver, Engine, Peer, Scenario};
use runner::Machine;

/// Ids of one accelerator of each engine.
const ENGINES: [&str; 3] = ["zip0", "sec0", "hpre0"];

/// VFs of three engines, one after the other, move with requests in flight.
fn migrate_three_engines(driver: Driver) -> Machine {
    let machine = Machine::new(Scenario::Migrate { seed: None });
    machine
        .engines([Engine::Zip, Engine::Sec, Engine::Hpre])
        .driver(driver)
}

/// The unmodified C VFIO driver: the oracle for init.
mod oracle {
    use super::*;

    #[test]
    fn migrate_type1() -> Result<()> {
        let machine = Machine::new(Scenario::Migrate { seed: None }).driver(Driver::C);
        run(machine.container(Container::Type1))?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let machine = migrate_three_engines(Driver::C).container(Container::Iommufd);
        run(machine)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        let outcome = run(migrate_three_engines(Driver::C).revision(0x50))?;
        expect_missed_doorbells(&outcome, &ENGINES)
    }
}

/// Our driver, by the same scenarios.
mod driver {
    use super::*;

    #[test]
    fn migrate_type1() -> Result<()> {
        let machine = Machine::new(Scenario::Migrate { seed: None }).driver(Driver::Rust);
        let machine = machine.container(Container::Type1).vfio(Driver::Rust);
        run(machine)?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_iommufd() -> Result<()> {
        let machine = migrate_three_engines(Driver::Rust).container(Container::Iommufd);
        run(machine.vfio(Driver::Rust))?.expect_clean()
    }

    #[test]
    fn migrate_three_engines_hardware_v4() -> Result<()> {
        run(migrate_three_engines(Driver::Rust).revision(0x50))?.expect_clean()
    }

    /// A guest moves between a host with the C driver and one with ours, both ways.
    #[test]
    fn migrate_from_and_to_the_c_driver() -> Result<()> {
        run(migrate_three_engines(Driver::Rust).peer(Peer::Other))?.expect_clean()
    }

    #[test]
    fn migrate_from_and_to_the_c_driver_hardware_v4() -> Result<()> {
        let machine = migrate_three_engines(Driver::Rust).peer(Peer::Other);
        expect_missed_doorbells(&run(machine.revision(0x50))?, &ENGINES)
    }

    /// A VM with a VF of each engine; only with the P2P states, which the C driver does not have.
    #[test]
    fn migrate_a_vm_with_three_engines() -> Result<()> {
        let machine = Machine::new(Scenario::Together).container(Container::Type1);
        run(machine.all_engines())?.expect_clean()
    }

    #[test]
    fn migrate_a_vm_with_three_engines_hardware_v4() -> Result<()> {
        let machine = Machine::new(Scenario::Together).container(Container::Iommufd);
        run(machine.all_engines().revision(0x50))?.expect_clean()
    }

    #[test]
    fn demo() -> Result<()> {
        run(Machine::new(Scenario::Demo))?.expect_clean()
    }
}
