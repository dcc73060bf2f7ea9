// SPDX-License-Identifier: GPL-2.0

//! Cases that were reported of other devices and their drivers, tried with a guest at work. Where
//! each comes from, and what either driver does, is in `Documentation/errnos.rst`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use monitor::{Ended, Guest, Limits};
use protocol::Setup;
use vm::engine::ZIP;

use super::fixture::GuestFixture;
use super::migrate_under_load::{LATENCY, WITHIN, WORK};
use crate::expect;
use crate::host::Host;

/// For requests of a guest that may hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// `QM_ABNORMAL_INT_STATUS`: a doorbell was rung of a queue that does not exist. It is one
/// register for all VFs.
const RANDOM_DOORBELL: u32 = 1 << 12;
/// hisi_qm clears it about as soon as it gets the interrupt. What comes on top here is the way to
/// the emulated device and back, twice.
const ERROR_LASTS: Duration = Duration::from_millis(20);

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    let clean = host.driver.is_rust();
    ZIP0.set_latency(LATENCY)?;
    let mut fixture = GuestFixture::new(host, Guest::new(vec![ZIP.kind])?)?;
    fixture.goes_on()?;
    report.point(
        "an error that another tenant has caused does not cost the guest its VF",
        || {
            let result = others_error(&mut fixture).with_context(|| fixture.sessions());
            ZIP0.set("fault", "")?;
            result
        },
    );
    fixture.end(report);
    ZIP0.report_violations(report, clean);
    Ok(())
}

impl GuestFixture {
    /// The guest works, and has lost nothing.
    fn still_works(&mut self) -> Result<()> {
        self.vmm.reaches("running", WITHIN)?;
        self.guest.does(WORK, PATIENCE)?;
        let load = self.guest.load();
        ensure!(load.is_flawless(), "{load:?}");
        Ok(())
    }

    /// How often the guest's VF was given the command to pause.
    fn pauses_of_its_vf(&self) -> Result<u64> {
        let counters = ZIP0.get("counters")?;
        let count = &counters[format!("fn{}", self.place + 1)]["mailbox"]["pause-qm"];
        Ok(count.as_u64().unwrap_or(0))
    }
}

/// QEMU reports the stop only when the VF's state has changed, or has failed to, so the VF's
/// command shows when the driver is about to look at the error.
fn others_error(fixture: &mut GuestFixture) -> Result<()> {
    let (place, mut other) = fixture.other_place("error")?;
    fixture.begins_to_move(&mut other)?;
    let before = fixture.pauses_of_its_vf()?;
    ZIP0.set("fault", format!("abnormal={RANDOM_DOORBELL}"))?;
    Limits::GENEROUS.set(&mut fixture.vmm)?;
    let mut looked = Instant::now();
    expect::eventually("the VF is paused", WITHIN, || {
        let paused = fixture.pauses_of_its_vf()? > before;
        if !paused {
            looked = Instant::now();
        }
        Ok(paused)
    })?;
    std::thread::sleep(ERROR_LASTS);
    ZIP0.set("fault", "")?;
    let lasted = looked.elapsed();
    control::show(format!("  the error lasted {lasted:?} at most"));
    if let Ended::Completed(_) = monitor::end(&mut fixture.vmm, WITHIN)? {
        monitor::go_on(&mut other, WITHIN)?;
        fixture.takes_over(other, place)?;
    }
    fixture.still_works()
}
