// SPDX-License-Identifier: GPL-2.0

//! Waiting for data by `poll()`: at the end of what there is in PRE_COPY there may be more later,
//! and a permanent end counts as something to read.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::PollFlags;
use rustix::event::epoll;
use rustix::io::Errno;
use vfio_client::{DataFile, Device, State};

use super::Fixture;
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::MATCH_SIZE;

const AT_ONCE: Duration = Duration::ZERO;
/// A waiter that is woken waits for less than half of this. One that is not woken looks when it is
/// over.
const LONG: Duration = Duration::from_secs(60);
/// For a thread to begin to wait. One that comes too late sees the change without being woken.
const SETTLE: Duration = Duration::from_millis(100);

/// What there is to read, as `poll()` reports it, and whether the session is over.
fn readable(file: &DataFile, timeout: Duration) -> Result<(bool, bool)> {
    let events = file.poll(timeout).context("poll")?;
    ensure!(
        !events.intersects(PollFlags::ERR | PollFlags::NVAL),
        "poll: {events:?}"
    );
    Ok((
        events.contains(PollFlags::IN),
        events.contains(PollFlags::RDHUP),
    ))
}

const NOTHING: (bool, bool) = (false, false);
const DATA: (bool, bool) = (true, false);
const OVER: (bool, bool) = (true, true);

pub(super) fn poll(fixture: &mut Fixture) -> Result<()> {
    // The C driver has no poll, and files without it are always ready.
    let (nothing, over) = if fixture.is_rust() {
        (NOTHING, OVER)
    } else {
        (DATA, DATA)
    };
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    equal("in PRE_COPY", readable(&file, AT_ONCE)?, DATA)?;
    file.read(&mut [0; MATCH_SIZE - 1])?;
    equal("before the last byte", readable(&file, AT_ONCE)?, DATA)?;
    file.read(&mut [0])?;
    equal("after the last byte", readable(&file, AT_ONCE)?, nothing)?;
    device.set_state(State::StopCopy)?;
    for _ in 0..2 {
        equal("in STOP_COPY", readable(&file, AT_ONCE)?, DATA)?;
        equal("read at the end", file.read(&mut [0])?, 0)?;
    }
    device.set_state(State::Running)?;
    equal("in RUNNING", readable(&file, AT_ONCE)?, over)?;
    refused("read in RUNNING", file.read(&mut [0]), Errno::NODEV)?;
    let file = device.set_state_with_file(State::StopCopy)?;
    drop(device);
    equal(
        "after the device was closed",
        readable(&file, AT_ONCE)?,
        over,
    )?;

    let device = fixture.open()?;
    let file = device.set_state_with_file(State::Resuming)?;
    let events = file.poll(AT_ONCE)?;
    ensure!(events.contains(PollFlags::OUT), "in RESUMING: {events:?}");
    Ok(())
}

/// A device in PRE_COPY whose data have all been read.
fn at_the_end(fixture: &Fixture) -> Result<(Device, DataFile)> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    file.read_available(4096)?;
    Ok((device, file))
}

/// What wakes a thread that waits for data, by what `change` does to the device.
fn woken(
    fixture: &Fixture,
    change: impl FnOnce(Device) -> Result<Option<Device>>,
) -> Result<(bool, bool)> {
    let (device, file) = at_the_end(fixture)?;
    let start = Instant::now();
    let (seen, device) = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| readable(&file, LONG));
        std::thread::sleep(SETTLE);
        let device = change(device);
        (waiter.join(), device)
    });
    // It stays open until here, if it was not closed on purpose.
    drop(device?);
    ensure!(start.elapsed() < LONG / 2, "nobody has woken who waits");
    match seen {
        Ok(seen) => seen,
        Err(_) => bail!("who waits panicked"),
    }
}

pub(super) fn wakes(fixture: &mut Fixture) -> Result<()> {
    let to = |state| {
        move |device: Device| {
            device.set_state(state)?;
            Ok(Some(device))
        }
    };
    equal("by STOP_COPY", woken(fixture, to(State::StopCopy))?, DATA)?;
    equal("by RUNNING", woken(fixture, to(State::Running))?, OVER)?;
    // Leads through STOP and thus ends the session, too.
    equal("by RESUMING", woken(fixture, to(State::Resuming))?, OVER)?;
    let by_reset = woken(fixture, |device| {
        device.reset()?;
        Ok(Some(device))
    })?;
    equal("by a reset", by_reset, OVER)?;
    equal("by closing the device", woken(fixture, |_| Ok(None))?, OVER)
}

pub(super) fn epoll(fixture: &mut Fixture) -> Result<()> {
    let (device, file) = at_the_end(fixture)?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(1);
    epoll::add(&set, &file, data, epoll::EventFlags::IN)?;
    let mut events = Vec::with_capacity(1);
    let ready = |events: &mut Vec<epoll::Event>| -> Result<usize> {
        events.clear();
        let zero = rustix::event::Timespec::default();
        epoll::wait(&set, rustix::buffer::spare_capacity(events), Some(&zero))?;
        Ok(events.len())
    };
    equal("files ready in PRE_COPY", ready(&mut events)?, 0)?;
    device.set_state(State::StopCopy)?;
    equal("files ready in STOP_COPY", ready(&mut events)?, 1)?;
    // The set forgets the file when that goes, and the session ends later.
    drop(file);
    equal("files ready without a file", ready(&mut events)?, 0)?;
    device.set_state(State::Running)?;
    equal("files ready at the end", ready(&mut events)?, 0)
}
