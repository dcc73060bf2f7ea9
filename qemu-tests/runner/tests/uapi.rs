// SPDX-License-Identifier: GPL-2.0

//! The migration uAPI, and which streams fit which VFs. Each test boots a machine of its own.
//!
//! The order of trust: the C drivers of Linux check the model (`model.rs`), then the C VFIO driver
//! checks init, which acts as the VM, then our driver is checked by both.

#![forbid(unsafe_code)]

mod common;

use anyhow::Result;
use common::{expect_missed_doorbells, run};
use protocol::{Container, Driver, Peer, Scenario};
use runner::Machine;

/// The unmodified C VFIO driver: the oracle for init.
mod oracle {
    use super::*;

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi(Container::Type1)
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi(Container::Iommufd)
    }

    fn uapi(container: Container) -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::C);
        let outcome = run(machine.container(container))?;
        outcome.expect_passed()
    }
}

/// Our driver, by the same scenarios.
mod driver {
    use super::*;

    #[test]
    fn uapi_type1() -> Result<()> {
        uapi(Container::Type1)
    }

    #[test]
    fn uapi_iommufd() -> Result<()> {
        uapi(Container::Iommufd)
    }

    #[test]
    fn uapi_hardware_v4() -> Result<()> {
        run(Machine::new(Scenario::Uapi)
            .driver(Driver::Rust)
            .revision(0x50))?
        .expect_clean()
    }

    #[test]
    fn dma_logging_is_a_parameter() -> Result<()> {
        run(Machine::new(Scenario::Parameter).driver(Driver::Rust))?.expect_clean()
    }

    /// From every driver to every driver, also between V3 and V4.
    #[test]
    fn streams_fit_what_is_compatible_and_nothing_else() -> Result<()> {
        let machine = Machine::new(Scenario::Matching).driver(Driver::Rust);
        let outcome = run(machine
            .peer(Peer::Other)
            .accelerator("zip1", "hisi-zip")
            .accelerator("zip-of-v4", "hisi-zip,revision=0x50")
            .accelerator("zip-of-fewer-queues", "hisi-zip,total-qps=96")
            .accelerator("isolated-zip", "hisi-zip")
            .all_engines())?;
        outcome.expect_passed()?;
        expect_missed_doorbells(&outcome, &["zip-of-v4"])
    }

    /// By kmemleak.
    #[test]
    fn what_was_allocated_can_be_freed() -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::Rust);
        run(machine.kmemleak())?.expect_clean()
    }

    fn uapi(container: Container) -> Result<()> {
        let machine = Machine::new(Scenario::Uapi).driver(Driver::Rust);
        run(machine.container(container).vfio(Driver::Rust))?.expect_clean()
    }
}
