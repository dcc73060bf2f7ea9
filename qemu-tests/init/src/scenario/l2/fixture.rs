// SPDX-License-Identifier: GPL-2.0

//! The emulated host with a guest on it, for scenarios that do one thing after the other to the
//! same guest.

use anyhow::{Context, Result, ensure};
use control::Report;
use linux::sysfs::Function;
use monitor::{Guest, Limits, Role, Vmm};
use protocol::channel::Order;
use serde_json::json;

use super::migrate_under_load::{WITHIN, WORK};
use crate::expect;
use crate::host::Host;

/// A test point, and what it does.
pub(crate) type Test = (&'static str, fn(&mut GuestFixture) -> Result<()>);

/// The emulated host, with a guest that has one of its VFs.
pub(crate) struct GuestFixture {
    pub(crate) host: Host,
    pub(crate) guest: Guest,
    /// The monitor that has the guest.
    pub(crate) vmm: Vmm,
    /// Index of the VF that the guest has.
    pub(crate) place: usize,
}

impl GuestFixture {
    /// Boots the guest with the first VF.
    pub(crate) fn new(host: Host, guest: Guest) -> Result<Self> {
        let vmm = Vmm::start("vmm0", Role::Boots, host.kind, &host.vfs[..1], &guest)?;
        guest.is_up(WITHIN)?;
        Ok(GuestFixture {
            host,
            guest,
            vmm,
            place: 0,
        })
    }

    /// Runs tests, each of which must leave a guest at work.
    pub(crate) fn run(&mut self, report: &mut Report, tests: &[Test]) {
        for (name, test) in tests {
            report.point(name, || {
                let result = test(self).and_then(|()| self.goes_on());
                result.with_context(|| self.sessions())
            });
        }
    }

    /// Moves the guest to the other one of the first two VFs, where it ends: nothing that was done
    /// to it has harmed it.
    pub(crate) fn end(mut self, report: &mut Report) {
        report.point(
            "it migrates all the same, and every request came back",
            || {
                let (place, mut last) = self.other_place("last")?;
                monitor::migrate(&mut self.vmm, &mut last, WITHIN)?;
                self.takes_over(last, place)?;
                self.goes_on()?;
                let load = self.guest.end(&mut self.vmm, WITHIN)?;
                self.vmm.wait(WITHIN)?;
                ensure!(load.is_flawless(), "{load:?}");
                Ok(())
            },
        );
    }

    /// The VF that the guest has.
    pub(crate) fn vf(&self) -> &Function {
        &self.host.vfs[self.place]
    }

    /// The sessions of all VFs, for an error message.
    pub(crate) fn sessions(&self) -> String {
        let sessions = self.host.vfs.iter().map(|vf| {
            let sessions = monitor::sessions(vf).unwrap_or_default();
            let failures = monitor::failures(vf).unwrap_or_default();
            format!("{vf}: {}", [sessions, failures].concat().join("; "))
        });
        format!(
            "{}\n{}",
            sessions.collect::<Vec<_>>().join("\n"),
            self.vmm.messages()
        )
    }

    /// A QEMU that waits for the guest, with the VF of that index.
    pub(crate) fn destination(&self, name: &str, vf: usize) -> Result<Vmm> {
        self.destination_with(name, &self.host.vfs[vf])
    }

    /// A QEMU that waits for the guest, with that VF.
    pub(crate) fn destination_with(&self, name: &str, vf: &Function) -> Result<Vmm> {
        let vfs = std::slice::from_ref(vf);
        Vmm::start(name, Role::Waits, self.host.kind, vfs, &self.guest)
    }

    /// A QEMU that waits for the guest with the other one of the first two VFs; the VF's index too.
    pub(crate) fn other_place(&self, name: &str) -> Result<(usize, Vmm)> {
        let place = 1 - self.place;
        Ok((place, self.destination(name, place)?))
    }

    /// The guest is with `vmm` now.
    pub(crate) fn takes_over(&mut self, vmm: Vmm, place: usize) -> Result<()> {
        self.place = place;
        std::mem::replace(&mut self.vmm, vmm).quit()
    }

    /// The guest works where it is.
    pub(crate) fn goes_on(&mut self) -> Result<()> {
        self.goes_on_in("RUNNING")
    }

    /// The guest works where it is, while its VF is in that state.
    pub(crate) fn goes_on_in(&mut self, state: &str) -> Result<()> {
        self.vmm.reaches("running", WITHIN)?;
        self.guest.does(WORK, WITHIN)?;
        expect::equal(
            "state of its VF",
            monitor::state(self.vf())?.as_str(),
            state,
        )?;
        let load = self.guest.load();
        ensure!(load.is_flawless(), "{load:?}");
        Ok(())
    }

    /// The guest, whose VF was reset behind its back, works on when it has reset its VF as well.
    ///
    /// Its driver refuses requests meanwhile, and completes those that were in flight as if they
    /// had been done. What comes later is right again. Returns how many buffers were corrupted.
    pub(crate) fn works_after_reset(&mut self) -> Result<u64> {
        self.vmm.reaches("running", WITHIN)?;
        let state = monitor::state(self.vf())?;
        expect::equal("state of its VF", state.as_str(), "RUNNING")?;
        let before = self.guest.load();
        self.guest.obeys(&mut self.vmm, Order::Reset, WITHIN)?;
        self.guest.does(WORK, WITHIN)?;
        let after = self.guest.load();
        self.guest.does(WORK, WITHIN)?;
        let later = self.guest.load();
        ensure!(
            (later.failed, later.corrupted) == (after.failed, after.corrupted),
            "{after:?}, then {later:?}"
        );
        Ok(after.corrupted - before.corrupted)
    }

    /// The driver of the guest has set its VF up, or not.
    pub(crate) fn has_driver(&self, expected: bool) -> Result<()> {
        let ready = monitor::driver_ready(self.vf())?;
        expect::equal("the VF's driver is there", ready, expected)
    }

    /// Waits until the guest's VF is in that state.
    pub(crate) fn vf_reaches(&self, wanted: &str) -> Result<()> {
        let vf = self.vf();
        expect::eventually(wanted, WITHIN, || Ok(monitor::state(vf)? == wanted))
    }

    /// Begins a migration that does not end, and waits until the VF takes part in it.
    pub(crate) fn begins_to_move(&mut self, destination: &mut Vmm) -> Result<()> {
        monitor::begin(&mut self.vmm, destination, Limits::ENDLESS)?;
        self.vf_reaches("PRE_COPY")
    }

    /// Ends the migration, which does not end without help; the guest is at the destination then.
    pub(crate) fn moves(&mut self, mut destination: Vmm, place: usize) -> Result<()> {
        Limits::GENEROUS.set(&mut self.vmm)?;
        monitor::completes(&mut self.vmm, WITHIN)?;
        monitor::go_on(&mut destination, WITHIN)?;
        self.takes_over(destination, place)
    }

    pub(crate) fn has_failed(&mut self) -> Result<()> {
        monitor::fails(&mut self.vmm, WITHIN).map(drop)
    }

    /// The phase of QEMU's migration, by its name for it (`MigrationStatus` of its schema).
    fn phase(&mut self) -> Result<String> {
        let info = self.vmm.execute("query-migrate", json!({}))?;
        let phase = info["status"].as_str().context("a migration in no phase")?;
        Ok(phase.to_owned())
    }

    pub(crate) fn in_phase(&mut self, wanted: &str) -> Result<()> {
        expect::equal("phase of the migration", self.phase()?.as_str(), wanted)
    }

    /// Waits until the migration is in that phase.
    pub(crate) fn comes_to_phase(&mut self, wanted: &str) -> Result<()> {
        expect::eventually(wanted, WITHIN, || Ok(self.phase()? == wanted))
    }

    pub(crate) fn cancel(&mut self) -> Result<()> {
        monitor::cancel(&mut self.vmm, WITHIN)
    }
}
