// SPDX-License-Identifier: GPL-2.0

//! Stops that are no migration: work must go on after them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use rustix::io::Errno;
use vfio_client::State;

use super::Fixture;
use crate::expect::{equal, refused};

/// The engine takes this long for a request while requests are to be in flight.
const SLOW: Duration = Duration::from_millis(400);

const FAST: Duration = Duration::from_micros(20);

/// Keeps requests in flight while `stop` does something to the device, and sees all complete.
fn under_work(fixture: &mut Fixture, stop: impl FnOnce(&mut Fixture) -> Result<()>) -> Result<()> {
    let device = fixture.open()?;
    fixture.vm.attach(device);
    fixture.vm.bring_up()?;
    ZIP0.set_latency(SLOW)?;
    fixture.vm.submit_at_once(96)?;
    let result = stop(fixture);
    ZIP0.set_latency(FAST)?;
    let result = result.and_then(|()| {
        fixture.vm.finish()?;
        fixture.vm.work(16)
    });
    drop(fixture.vm.detach()?);
    fixture.vm.forget();
    result
}

pub(super) fn pause(fixture: &mut Fixture) -> Result<()> {
    under_work(fixture, |fixture| {
        let device = fixture.vm.device()?;
        device.set_state(State::Stop)?;
        ensure!(fixture.vm.waiting() > 0, "nothing was left to do in STOP");
        device
            .set_state(State::Running)
            .map(drop)
            .context("STOP to RUNNING")
    })
}

pub(super) fn give_up(fixture: &mut Fixture) -> Result<()> {
    under_work(fixture, |fixture| {
        let device = fixture.vm.device()?;
        let file = device.set_state_with_file(State::PreCopy)?;
        file.read_available(4096)?;
        device.set_state(State::StopCopy)?;
        file.read_available(4096)?;
        ensure!(
            fixture.vm.waiting() > 0,
            "nothing was left to do in STOP_COPY"
        );
        device
            .set_state(State::Running)
            .map(drop)
            .context("STOP_COPY to RUNNING")
    })
}

pub(super) fn failed_stop(fixture: &mut Fixture) -> Result<()> {
    for (fault, errno, ends_in) in [
        ("fn1:mailbox-status=3", Errno::IO, State::Running),
        ("fn1:vf-busy", Errno::BUSY, State::Running),
        // The contexts in memory are not those in the device, so a restart would lose work.
        ("fn1:wb-never", Errno::TIMEDOUT, State::Error),
    ] {
        let stop = |fixture: &mut Fixture| {
            ZIP0.set("fault", fault)?;
            let result = fixture.vm.device()?.set_state(State::Stop);
            ZIP0.set("fault", "")?;
            refused("RUNNING to STOP", result, errno)?;
            equal("state", fixture.vm.device()?.state()?, ends_in)?;
            if ends_in == State::Error {
                // Nothing but a reset leads out of it, and the driver in the VM begins again.
                let stuck = fixture.vm.device()?.set_state(State::Running);
                refused("ERROR to RUNNING", stuck, Errno::INVAL)?;
                fixture.vm.device()?.reset()?;
                equal(
                    "state after a reset",
                    fixture.vm.device()?.state()?,
                    State::Running,
                )?;
                fixture.vm.start_over()?;
            }
            Ok(())
        };
        under_work(fixture, stop).with_context(|| format!("with {fault}"))?;
    }
    Ok(())
}
