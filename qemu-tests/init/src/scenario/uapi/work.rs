// SPDX-License-Identifier: GPL-2.0

//! Stops that are no migration: work must go on after them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use super::Bench;
use crate::control;
use crate::expect::{equal, refused};
use crate::vfio::State;

/// The engine takes this long for a request while requests are to be in flight.
const SLOW: Duration = Duration::from_millis(400);

const FAST: Duration = Duration::from_micros(20);

/// Has requests in flight while `stop` does something to the device, and sees all complete.
fn under_work(bench: &mut Bench, stop: impl FnOnce(&mut Bench) -> Result<()>) -> Result<()> {
    let device = bench.open()?;
    bench.vm.attach(device);
    bench.vm.bring_up()?;
    control::set_latency(SLOW)?;
    bench.vm.submit_at_once(96)?;
    let result = stop(bench);
    control::set_latency(FAST)?;
    let result = result.and_then(|()| {
        bench.vm.finish()?;
        bench.vm.work(16)
    });
    drop(bench.vm.detach()?);
    bench.vm.forget();
    result
}

pub(super) fn pause(bench: &mut Bench) -> Result<()> {
    under_work(bench, |bench| {
        let device = bench.vm.device()?;
        device.set_state(State::Stop)?;
        ensure!(bench.vm.waiting() > 0, "nothing was left to do in STOP");
        device
            .set_state(State::Running)
            .map(drop)
            .context("STOP to RUNNING")
    })
}

pub(super) fn give_up(bench: &mut Bench) -> Result<()> {
    under_work(bench, |bench| {
        let device = bench.vm.device()?;
        let file = device.set_state_with_file(State::PreCopy)?;
        file.read_available(4096)?;
        device.set_state(State::StopCopy)?;
        file.read_available(4096)?;
        ensure!(
            bench.vm.waiting() > 0,
            "nothing was left to do in STOP_COPY"
        );
        device
            .set_state(State::Running)
            .map(drop)
            .context("STOP_COPY to RUNNING")
    })
}

pub(super) fn failed_stop(bench: &mut Bench) -> Result<()> {
    for (fault, errno, ends_in) in [
        ("fn1:mailbox-status=3", Errno::IO, State::Running),
        ("fn1:vf-busy", Errno::BUSY, State::Running),
        // The contexts in memory are not those in the device, so a restart would lose work.
        ("fn1:wb-never", Errno::TIMEDOUT, State::Error),
    ] {
        let stop = |bench: &mut Bench| {
            control::set("fault", fault)?;
            let result = bench.vm.device()?.set_state(State::Stop);
            control::set("fault", "")?;
            refused("RUNNING to STOP", result, errno)?;
            equal("state", bench.vm.device()?.state()?, ends_in)?;
            if ends_in == State::Error {
                // Nothing but a reset leads out of it, and the driver in the VM begins again.
                let stuck = bench.vm.device()?.set_state(State::Running);
                refused("ERROR to RUNNING", stuck, Errno::INVAL)?;
                bench.vm.device()?.reset()?;
                equal(
                    "state after a reset",
                    bench.vm.device()?.state()?,
                    State::Running,
                )?;
                bench.vm.start_over()?;
            }
            Ok(())
        };
        under_work(bench, stop).with_context(|| format!("with {fault}"))?;
    }
    Ok(())
}
