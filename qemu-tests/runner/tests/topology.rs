// SPDX-License-Identifier: GPL-2.0
//! What hosts there are beside the one with V3, two VFs and nobody who leaves: other hardware
//! generations, VFs that cannot migrate, many VFs, and devices that go away while they are used.
//! The C driver goes through the same steps first.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use runner::{Artifacts, Outcome, Scenario};

const DRIVERS: [&str; 2] = ["c", "rust"];

fn run(scenario: Scenario) -> Result<Outcome> {
    scenario.run(&Artifacts::load()?, |line| println!("{line}"))
}

/// Hardware V5 (revision 0x51), where the migration registers are as on V4.
mod hardware_v5 {
    use super::*;

    #[test]
    fn the_pf_driver_gives_vfs() -> Result<()> {
        run(Scenario::new("judge-probe").revision(0x51))?.expect_clean()
    }

    #[test]
    fn migrate() -> Result<()> {
        for driver in DRIVERS {
            let scenario = Scenario::new("migrate").with("driver", driver);
            let outcome = run(scenario.revision(0x51))?;
            if driver == "rust" {
                outcome.expect_clean()?;
                continue;
            }
            outcome.expect_passed()?;
            // D-13, as on V4: the doorbells at the end of a save miss the window.
            let violated = outcome.violated();
            ensure!(
                matches!(&violated[..], [only] if only.starts_with("zip0 outside-window ")),
                "expected outside-window alone, got {violated:?}"
            );
        }
        Ok(())
    }

    #[test]
    fn uapi_and_debug_files() -> Result<()> {
        for scenario in ["uapi", "debugfs-hisi"] {
            let scenario = Scenario::new(scenario).with("driver", "rust");
            run(scenario.revision(0x51))?.expect_clean()?;
        }
        Ok(())
    }
}

/// VFs that cannot migrate work as with vfio-pci.
mod plain {
    use super::*;

    fn plain(item: &str, revision: Option<u8>) -> Result<()> {
        for driver in DRIVERS {
            let scenario = Scenario::new("topology").with("item", item);
            let scenario = scenario.with("driver", driver);
            let scenario = match revision {
                Some(revision) => scenario.revision(revision),
                None => scenario,
            };
            run(scenario)?.expect_clean()?;
        }
        Ok(())
    }

    #[test]
    fn hardware_v2() -> Result<()> {
        plain("plain-v2", Some(0x21))
    }

    #[test]
    fn pf_with_another_driver() -> Result<()> {
        plain("plain-foreign", None)
    }

    #[test]
    fn no_vf_of_an_engine() -> Result<()> {
        plain("plain-pf", None)
    }
}

/// More than two VFs on one PF.
mod many {
    use super::*;

    /// Each VF gets 4 of the queues that hisi_zip leaves, and the last one 2 more.
    fn many(driver: &str, revision: u8) -> Result<Outcome> {
        let scenario = Scenario::new("topology").with("item", "many");
        let scenario = scenario.with("driver", driver).revision(revision);
        let scenario = scenario.property("total-vfs", "63");
        run(scenario.property("total-qps", "318"))
    }

    #[test]
    fn sixty_three_vfs_with_unequal_shares_of_the_queues() -> Result<()> {
        many("c", 0x30)?.expect_passed()?;
        many("rust", 0x30)?.expect_clean()
    }

    /// The last of the windows in the PF is used, too.
    #[test]
    fn sixty_three_vfs_of_hardware_v4() -> Result<()> {
        many("rust", 0x50)?.expect_clean()
    }

    #[test]
    fn eight_vms_move_at_the_same_time() -> Result<()> {
        for driver in DRIVERS {
            let scenario = Scenario::new("topology").with("item", "together");
            let scenario = scenario.with("driver", driver);
            let scenario = scenario.property("total-vfs", "16");
            let outcome = run(scenario)?;
            if driver == "rust" {
                outcome.expect_clean()?;
                continue;
            }
            outcome.expect_passed()?;
            // D-14: accesses to the PF's table of queues interleave, if they happen to meet.
            println!("violations of the C driver: {:?}", outcome.violated());
        }
        Ok(())
    }
}

/// Devices that have to go, or fail, while they are used.
mod departure {
    use super::*;

    fn item(name: &str) -> Result<()> {
        for driver in DRIVERS {
            let scenario = Scenario::new("topology").with("item", name);
            let outcome = run(scenario.with("driver", driver))?;
            if driver == "rust" {
                outcome.expect_clean()?;
            } else {
                outcome.expect_passed()?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_user_is_told_and_waited_for() -> Result<()> {
        item("departure")
    }

    #[test]
    fn reset_of_the_pf() -> Result<()> {
        item("pf-reset")
    }

    #[test]
    fn hardware_error_of_the_pf() -> Result<()> {
        item("hardware-error")
    }

    #[test]
    fn error_on_the_bus() -> Result<()> {
        item("bus-error")
    }

    #[test]
    fn fatal_error_on_the_bus() -> Result<()> {
        item("fatal-bus-error")
    }
}

/// What was reported of other devices, tried with these; `Documentation/errnos.rst` has the reports.
mod reported {
    use super::*;

    /// A reset of more than a minute, in a machine where waiting costs nothing.
    #[test]
    fn a_vf_is_not_reset_while_a_pf_with_silent_vfs_is() -> Result<()> {
        for driver in DRIVERS {
            let scenario = Scenario::new("topology").with("item", "silent-vf-reset");
            let scenario = scenario.with("driver", driver).counted();
            run(scenario.within(480))?.expect_passed()?;
        }
        Ok(())
    }

    /// The C driver finds out when the VM is stopped.
    #[test]
    fn a_message_that_is_not_taken_costs_no_vf() -> Result<()> {
        let scenario = Scenario::new("topology").with("item", "silent-vf-message");
        run(scenario.with("driver", "rust"))?.expect_clean()
    }
}
