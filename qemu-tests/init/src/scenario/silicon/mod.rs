// SPDX-License-Identifier: GPL-2.0

//! Migration on hardware that differs from the model's default, in the points that the property
//! `silicon` of the model names (`Documentation/accel-model.rst`).
//!
//! The runner compares what comes of it with both drivers, so that a load that fails does not fail
//! the scenario. It is reported by a line for each load:
//!
//! ```text
//! silicon <points> <load> ok
//! silicon <points> <load> failed: <reason>
//! ```

mod loads;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protocol::Setup;

use crate::host::Host;
use crate::scenario::l2::GuestFixture;
use crate::scenario::l2::migrate_under_load::{LATENCY, WORK};
use crate::scenario::support::fixture::Fixture;
use control::{EmulatedDevice, Report};
use loads::{LOADS, hardware_errors};
use monitor::Guest;
use vm::engine;

/// How the model's default is called, which has no points.
const DEFAULT: &str = "default";

/// How long a guest may take for anything. It takes some seconds.
const WITHIN: Duration = Duration::from_secs(120);

/// Hardware: the points in which it differs from the default.
struct Silicon<'o> {
    /// With `+` between them.
    name: &'o str,
    points: Vec<&'o str>,
}

impl<'o> Silicon<'o> {
    fn named(name: &'o String) -> Self {
        Silicon {
            name,
            points: name.split('+').filter(|name| *name != DEFAULT).collect(),
        }
    }
}

impl Silicon<'_> {
    /// Makes an emulated device this hardware.
    fn set(&self, device: EmulatedDevice) -> Result<()> {
        device.set("silicon", self.points.join(";"))
    }

    fn tell(&self, load: &str, result: &Result<()>) {
        let told = match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("failed: {error:#}").replace('\n', "; "),
        };
        control::dump(format!("silicon {} {load} {told}", self.name));
    }
}

fn forget_violations(fixture: &Fixture) -> Result<()> {
    EmulatedDevice(fixture.host.accelerator.id).set("violations-reset", true)
}

/// Ours does nothing that the device counts as a violation. The C driver does, on any hardware.
fn without_violations(fixture: &Fixture) -> Result<()> {
    let found = EmulatedDevice(fixture.host.accelerator.id).violations()?;
    ensure!(
        !fixture.host.driver.is_rust() || found.is_empty(),
        "violations: {found:?}"
    );
    Ok(())
}

/// Goes through all loads on each hardware. The scenario ends with a load after which PF and VFs
/// are of no use any more.
pub(super) fn run(setup: &Setup, names: &[String], report: &mut Report) -> Result<()> {
    let accelerators = engine::chosen(setup);
    let accelerator = accelerators.first().context("no accelerator is chosen")?;
    let mut fixture = Fixture::with(setup, accelerator, 2)?;
    let revision = fixture.host.vfs[0].number("revision")?;
    let mut whole = true;
    for silicon in names.iter().map(Silicon::named) {
        silicon.set(EmulatedDevice(accelerator.id))?;
        let loads = LOADS.iter();
        for load in loads.filter(|load| load.applies(revision, &silicon.points)) {
            let before = hardware_errors(&fixture)?;
            forget_violations(&fixture)?;
            let result = (load.steps)(&mut fixture);
            let errors = hardware_errors(&fixture)? - before;
            let result = result.and_then(|()| {
                ensure!(errors == 0, "{errors} errors of the hardware");
                without_violations(&fixture)
            });
            silicon.tell(load.name, &result);
            // Those of a load that fails are no others.
            forget_violations(&fixture)?;
            // An error makes the PF's driver reset the device, which needs firmware.
            whole = errors == 0 && fixture.tidy().is_ok();
            if !whole {
                break;
            }
        }
        if !whole {
            break;
        }
    }
    if whole {
        EmulatedDevice(accelerator.id).set("silicon", "")?;
    }
    EmulatedDevice(accelerator.id)
        .report_violations(report, fixture.host.driver.is_rust() && whole);
    Ok(())
}

/// Moves a guest at work under QEMU to the other VF, on each hardware in turn. The scenario ends
/// with a guest that does not go on there.
pub(super) fn guest(setup: &Setup, names: &[String], report: &mut Report) -> Result<()> {
    let accelerators = engine::chosen(setup);
    let accelerator = accelerators.first().context("no accelerator is chosen")?;
    let host = Host::with(setup, accelerator, 2)?;
    let is_rust = host.driver.is_rust();
    EmulatedDevice(accelerator.id).set_latency(LATENCY)?;
    let mut fixture = GuestFixture::new(host, Guest::new(vec![accelerator.kind])?)?;
    let up = report.point("a guest boots and works", || {
        fixture.guest.does(WORK, WITHIN)
    });
    ensure!(up, "nothing to migrate");
    for silicon in names.iter().map(Silicon::named) {
        silicon.set(EmulatedDevice(accelerator.id))?;
        let result = moves(&mut fixture, silicon.name);
        silicon.tell("guest", &result);
        if result.is_err() {
            control::note(fixture.sessions());
            // QEMU and its VFs may be in any state.
            return Ok(());
        }
    }
    EmulatedDevice(accelerator.id).report_violations(report, is_rust);
    Ok(())
}

fn moves(fixture: &mut GuestFixture, name: &str) -> Result<()> {
    let (place, mut other) = fixture.other_place(name)?;
    fixture.guest.does(WORK, WITHIN)?;
    monitor::migrate(&mut fixture.vmm, &mut other, WITHIN)?;
    fixture.takes_over(other, place)?;
    fixture
        .guest
        .does(WORK, WITHIN)
        .context("after the migration")?;
    let load = fixture.guest.load();
    ensure!(load.is_flawless(), "{load:?}");
    Ok(())
}
