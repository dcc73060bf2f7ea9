// SPDX-License-Identifier: GPL-2.0

//! VFs that fail while their guest, which is at work, is stopped or is to go on at the destination.
//!
//! A VF that fails to change its state is reset by QEMU, behind the back of the guest's driver. The
//! requests that it had are gone then, and the guest waits for them until it resets the VF as well.

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use monitor::{Guest, Limits};
use protocol::Setup;
use serde_json::json;
use vm::engine::ZIP;

use super::fixture::GuestFixture;
use super::migrate_under_load::{LATENCY, WITHIN};
use crate::expect;
use crate::host::Host;

/// Requests that a guest has in flight.
const IN_FLIGHT: u64 = 4;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    ZIP0.set_latency(LATENCY)?;
    let mut fixture = GuestFixture::new(host, Guest::new(vec![ZIP.kind])?)?;
    fixture.goes_on()?;
    type Case = (&'static str, fn(&mut GuestFixture) -> Result<()>);
    let cases: [Case; 4] = [
        (
            "a paused guest's VF cannot be read: it stays as it was",
            unreadable_paused,
        ),
        ("the VF cannot be read after PAUSE", unreadable),
        ("the VF does not come to rest after PAUSE", restless),
        ("the VF at the destination cannot be loaded", unloadable),
    ];
    for (name, case) in cases {
        report.point(name, || {
            let result = case(&mut fixture);
            // Whatever went wrong, the next one is to begin with a sound device.
            let mended = ZIP0.set("fault", "");
            result.and(mended).with_context(|| fixture.sessions())
        });
    }
    report.point("the guest begins anew, and nothing is left of it", || {
        fixture.guest.reboots(&mut fixture.vmm, WITHIN)?;
        fixture.guest.is_up(WITHIN)?;
        fixture.goes_on()
    });
    fixture.end(report);
    ZIP0.report_violations(report, true);
    Ok(())
}

impl GuestFixture {
    /// The fault is in the VF of that index until the end.
    fn breaks(&self, place: usize, fault: &str) -> Result<()> {
        ZIP0.set("fault", format!("fn{}:{fault}", place + 1))
    }

    /// A migration fails since the guest's VF does.
    fn does_not_move(&mut self, name: &str) -> Result<()> {
        let (_, mut other) = self.other_place(name)?;
        monitor::begin(&mut self.vmm, &mut other, Limits::GENEROUS)?;
        self.has_failed()?;
        control::show(format!("QEMU says: {}", self.vmm.messages()));
        ZIP0.set("fault", "")
    }

    /// The last failed arc, as the guest's VF reports it.
    fn tells(&self, arc: &str, errno: u32) -> Result<()> {
        let failures = monitor::failures(self.vf())?;
        let last = failures.last().context("attr tells of no failure")?;
        control::show(format!("the VF says: {last}"));
        ensure!(
            last.contains(&format!(" arc={arc} errno={errno} ")),
            "{arc} was to fail by {errno}: {last}"
        );
        Ok(())
    }

    /// QEMU has reset the VF. The guest does not hang: it can reset the VF as well, and works on.
    fn recovers(&mut self) -> Result<()> {
        self.vmm.reaches("running", WITHIN)?;
        expect::equal(
            "state of its VF",
            monitor::state(self.vf())?.as_str(),
            "RUNNING",
        )?;
        // Nothing but a reset does that, and the guest did not ask for one. By that one also knows
        // a guest that waits in vain.
        self.has_driver(false)?;
        let corrupted = self.works_after_reset()?;
        ensure!(corrupted <= IN_FLIGHT, "{corrupted} buffers are corrupted");
        self.has_driver(true)
    }
}

fn unreadable_paused(fixture: &mut GuestFixture) -> Result<()> {
    fixture.vmm.execute("stop", json!({}))?;
    fixture.vmm.reaches("paused", WITHIN)?;
    fixture.breaks(fixture.place, "mailbox-status=3@sqc-bt")?;
    fixture.does_not_move("fails1")?;
    fixture.tells("STOP>STOP_COPY", 5)?;
    fixture.vmm.execute("cont", json!({}))?;
    fixture.goes_on()
}

fn unreadable(fixture: &mut GuestFixture) -> Result<()> {
    fixture.breaks(fixture.place, "mailbox-status=3@sqc-bt")?;
    fixture.does_not_move("fails2")?;
    fixture.tells("PRE_COPY_P2P>STOP_COPY", 5)?;
    fixture.recovers()
}

fn restless(fixture: &mut GuestFixture) -> Result<()> {
    fixture.breaks(fixture.place, "wb-never")?;
    fixture.does_not_move("fails3")?;
    fixture.tells("PRE_COPY_P2P>STOP_COPY", 110)?;
    fixture.recovers()
}

fn unloadable(fixture: &mut GuestFixture) -> Result<()> {
    let (place, mut other) = fixture.other_place("fails4")?;
    fixture.breaks(place, "mailbox-status=3@sqc-bt")?;
    monitor::migrate(&mut fixture.vmm, &mut other, WITHIN)?;
    ZIP0.set("fault", "")?;
    control::show(format!("QEMU says: {}", other.messages()));
    fixture.takes_over(other, place)?;
    fixture.tells("RESUMING>STOP", 5)?;
    fixture.recovers()
}
