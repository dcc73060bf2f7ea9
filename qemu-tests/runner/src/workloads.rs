// SPDX-License-Identifier: GPL-2.0

//! `make workloads`: guests with Debian's kernel, in which programs of Debian use the kernel's crypto
//! on VFs, migrate, are paused, saved and restored.

use anyhow::{Result, ensure};
use protocol::{Container, Engine, List, Scenario};

use crate::{Artifacts, Machine, Outcome};

/// A guest boots slower than with the kernel that is built here.
const WITHIN: u64 = 3600;

/// Runs the scenarios, and shows what happens.
pub fn run(artifacts: &Artifacts, engines: Option<List<Engine>>) -> Result<()> {
    let engines = engines.unwrap_or([Engine::Zip, Engine::Sec].into());
    ensure!(
        !engines.0.contains(&Engine::Hpre),
        "engines={engines}: there is no program for hpre"
    );
    let rounds = Scenario::GuestAtWork {
        rounds: Some(1),
        cancel: None,
        switchover: None,
        stop_first: None,
        multifd: None,
    };
    check(artifacts, Machine::new(rounds).engines(engines.clone()))?;
    for engine in engines.0 {
        // Of one VF, and with the container that QEMU has to stop the guest for.
        let machine = Machine::new(Scenario::GuestPauses).engines([engine]);
        check(artifacts, machine.container(Container::Iommufd))?;
    }
    println!("workloads: ok");
    Ok(())
}

fn check(artifacts: &Artifacts, machine: Machine) -> Result<()> {
    let machine = machine.workload_programs().within(WITHIN);
    let outcome = machine.run(artifacts, |line| println!("{line}"))?;
    outcome.tell_points();
    let checked = Outcome::expect_clean(&outcome);
    checked.inspect_err(|_| println!("workloads: failed"))
}
