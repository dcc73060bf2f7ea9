// SPDX-License-Identifier: GPL-2.0

//! The history of requests that VFIO core keeps, without the driver's part in it.

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use vfio_client::State;

use super::Fixture;
use crate::expect::equal;
use crate::scenario::support::history;

impl Fixture {
    /// The name of VF1.
    fn name(&self) -> String {
        self.host.vfs[0].name().to_owned()
    }
}

pub(super) fn requests(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    history::has_each_request(&device, &fixture.name())?;
    history::is_bounded(&device, &fixture.name())?;
    history::is_consistent_under_threads(&device, &fixture.name())
}

/// The device does not answer for a second while it is stopped.
pub(super) fn under_way(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let name = fixture.name();
    let device = fixture.vm.device()?;
    let last = history::last_number(&name)?;
    ZIP0.set("fault", "fn1:mailbox-timeout@pause-qm")?;
    let (seen, result) = std::thread::scope(|scope| {
        let thread = scope.spawn(|| device.set_state(State::Stop).map(drop));
        let seen = history::shows_request_under_way(&name, last, || thread.is_finished());
        (seen, thread.join())
    });
    ZIP0.set("fault", "")?;
    let seen = seen?;
    let result = result.map_err(|_| anyhow::anyhow!("the thread panicked"))?;
    let error = result.expect_err("the device does not answer");
    let first = seen.first().context("the request was never seen")?;
    let newest = seen.last().context("the request was never seen")?;
    equal(
        "states",
        (first.from.as_str(), first.to.as_str()),
        ("RUNNING", "STOP"),
    )?;
    ensure!(
        first.duration < newest.duration,
        "time does not pass: {first:?}, {newest:?}"
    );
    let ended = history::since(&name, last)?;
    equal("requests", ended.len(), 1)?;
    let ended = &ended[0];
    equal("errno", ended.errno, error.raw_os_error())?;
    equal("errno of the ioctl", ended.ioctl, error.raw_os_error())?;
    // A reader that waits for the driver sees the beginning at most.
    ensure!(
        (ended.duration / 8..=ended.duration).contains(&newest.duration),
        "{newest:?} was the last that was seen of {ended:?}"
    );
    device.reset()?;
    fixture.close()
}

/// What changes a state without a request shows in the state from which the next request starts.
pub(super) fn not_requested(fixture: &mut Fixture) -> Result<()> {
    let name = fixture.name();
    let last = history::last_number(&name)?;
    let device = fixture.open()?;
    device.set_state(State::Stop)?;
    device.state()?;
    device.reset()?;
    device.set_state(State::Stop)?;
    drop(device);
    // A close with the state left.
    let closed = history::since(&name, last)?;
    let device = fixture.open()?;
    device.set_state(State::Stop)?;
    let found = history::since(&name, last)?;
    equal("requests after the close", &found[..2], closed.as_slice())?;
    let froms: Vec<&str> = found.iter().map(|request| request.from.as_str()).collect();
    equal("states before", froms, vec!["RUNNING"; 3])?;
    equal(
        "numbers",
        history::successes(&name, last)?,
        last + 1..=last + 3,
    )
}
