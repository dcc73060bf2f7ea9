// SPDX-License-Identifier: GPL-2.0

//! The file `migration/history` of VFIO core, and what it must have of requests that are made here,
//! whatever driver the device has.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vfio_client::{Device, State};

use super::debugfs;
use crate::expect::{equal, refused};

/// How many requests the core keeps.
const KEPT: usize = 32;

/// A number that is no state, and how the file shows it.
const NO_STATE: (u32, &str) = (77, "0x4d");

/// The name of the thread that makes requests, and how the file shows it.
const COMM: (&str, &str) = ("a \\ request", "a\\x20\\\\\\x20request");

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) number: u64,
    /// In microseconds since 1970.
    time: u64,
    pub(crate) from: String,
    pub(crate) to: String,
    /// In microseconds.
    pub(crate) duration: u64,
    /// None while the driver is busy.
    pub(crate) errno: Option<i32>,
    pub(crate) ioctl: Option<i32>,
    pid: u32,
    comm: String,
}

impl Request {
    fn parse(line: &str) -> Result<Self> {
        let mut words = line.split(' ');
        let mut value = |key: &str| -> Result<&str> {
            let word = words.next().with_context(|| format!("no {key}"))?;
            let value = word.strip_prefix(key).and_then(|w| w.strip_prefix('='));
            value.with_context(|| format!("{word:?} is not {key}"))
        };
        let number_or_none = |text: &str| match text {
            "-" => Ok(None),
            text => text.parse().map(Some),
        };
        let request = Self {
            number: value("request")?.parse()?,
            time: value("time")?.replacen('.', "", 1).parse()?,
            from: value("from")?.to_owned(),
            to: value("to")?.to_owned(),
            duration: value("duration")?.parse()?,
            errno: number_or_none(value("errno")?)?,
            ioctl: number_or_none(value("ioctl")?)?,
            pid: value("pid")?.parse()?,
            comm: value("comm")?.to_owned(),
        };
        ensure!(words.next().is_none(), "there is more");
        Ok(request)
    }

    /// The states before and after, and both errnos.
    fn facts(&self) -> (&str, &str, Option<i32>, Option<i32>) {
        (&self.from, &self.to, self.errno, self.ioctl)
    }
}

/// The file of a device.
pub(crate) fn file(device: &str) -> PathBuf {
    debugfs::device(device).join("migration/history")
}

/// All lines of a device's file.
pub(crate) fn requests(device: &str) -> Result<Vec<Request>> {
    debugfs::content(&file(device))?
        .lines()
        .map(|line| Request::parse(line).with_context(|| format!("line {line:?}")))
        .collect()
}

/// The number of the last request.
pub(crate) fn last_number(device: &str) -> Result<u64> {
    Ok(requests(device)?.last().map_or(0, |last| last.number))
}

/// The requests after number `last`.
pub(crate) fn since(device: &str, last: u64) -> Result<Vec<Request>> {
    let mut found = requests(device)?;
    found.retain(|request| request.number > last);
    Ok(found)
}

/// Microseconds since 1970.
fn now() -> Result<u64> {
    Ok(SystemTime::now()
        .duration_since(UNIX_EPOCH)?
        .as_micros()
        .try_into()?)
}

/// Does something while this process can open no file.
fn without_descriptors<T>(act: impl FnOnce() -> T) -> Result<T> {
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, none)?;
    let result = act();
    setrlimit(Resource::Nofile, limit)?;
    Ok(result)
}

/// Makes requests of a running device: such as succeed, such as the driver refuses, and such as the
/// driver fulfils while the caller does not get its answer.
fn make_requests(device: &Device) -> Result<()> {
    device.set_state(State::Stop)?;
    let refusal = device.set_state_number(NO_STATE.0);
    refused("a number that is no state", refusal, Errno::INVAL)?;
    let file = without_descriptors(|| device.set_state(State::StopCopy))?;
    refused("a data file too many", file, Errno::MFILE)?;
    equal("state after it", device.state()?, State::StopCopy)?;
    device.set_state(State::Running)?;
    let answer = device.set_state_unanswerable(State::Stop as u32);
    refused("an answer that cannot be written", answer, Errno::FAULT)?;
    equal("state after it", device.state()?, State::Stop)?;
    let answer = device.set_state_unanswerable(NO_STATE.0);
    refused("a refusal that cannot be written", answer, Errno::FAULT)?;
    device.set_state(State::Running)?;
    device.set_state(State::Running)?;
    Ok(())
}

/// What the file must have of [`make_requests`]: the states, the driver's errno, and the ioctl's.
const MADE: [(&str, &str, Option<i32>, Option<i32>); 8] = [
    ("RUNNING", "STOP", Some(0), Some(0)),
    ("STOP", NO_STATE.1, Some(22), Some(22)),
    ("STOP", "STOP_COPY", Some(0), Some(24)),
    ("STOP_COPY", "RUNNING", Some(0), Some(0)),
    ("RUNNING", "STOP", Some(0), Some(14)),
    ("STOP", NO_STATE.1, Some(22), Some(14)),
    ("STOP", "RUNNING", Some(0), Some(0)),
    ("RUNNING", "RUNNING", Some(0), Some(0)),
];

/// Each request to a running device comes into its history, with what came of it, and when and by
/// whom it was made.
pub(crate) fn has_each_request(device: &Device, name: &str) -> Result<()> {
    let last = last_number(name)?;
    let (begin, clock) = (now()?, Instant::now());
    thread::scope(|scope| {
        thread::Builder::new()
            .name(COMM.0.to_owned())
            .spawn_scoped(scope, || make_requests(device))?
            .join()
            .map_err(|_| anyhow!("the thread panicked"))?
    })?;
    let (end, took) = (now()?, clock.elapsed().as_micros());
    let found = since(name, last)?;
    let facts: Vec<_> = found.iter().map(Request::facts).collect();
    equal("requests", facts.as_slice(), &MADE[..])?;
    let numbers: Vec<u64> = found.iter().map(|request| request.number).collect();
    let expected: Vec<u64> = (last + 1..).take(MADE.len()).collect();
    equal("numbers", numbers, expected)?;
    let mut earliest = begin;
    for request in &found {
        ensure!(
            (earliest..=end).contains(&request.time),
            "{request:?} is not of the time from {earliest} to {end}"
        );
        earliest = request.time;
        equal("process", request.pid, std::process::id())?;
        equal("thread", request.comm.as_str(), COMM.1)?;
    }
    // Each is rounded up.
    let all: u64 = found.iter().map(|request| request.duration).sum();
    ensure!(all > 0, "no request took any time");
    ensure!(
        u128::from(all) <= took + MADE.len() as u128,
        "requests took {all} microseconds of {took}"
    );
    Ok(())
}

/// The history has the last requests, and no more of them.
pub(crate) fn is_bounded(device: &Device, name: &str) -> Result<()> {
    let last = last_number(name)?;
    for _ in 0..KEPT {
        device.set_state(State::Stop)?;
        device.set_state(State::Running)?;
    }
    let numbers: Vec<u64> = requests(name)?.iter().map(|r| r.number).collect();
    let newest = last + 2 * KEPT as u64;
    let expected: Vec<u64> = (newest - KEPT as u64 + 1..=newest).collect();
    equal("numbers of the requests that are kept", numbers, expected)
}

/// A thread for each state that requests it again and again.
const THREADS: [(&str, State); 3] = [
    ("stops", State::Stop),
    ("runs", State::Running),
    ("saves", State::StopCopy),
];

/// Each line is of one request, whatever other threads request at the same time. No request is left
/// out, and the reader is not kept waiting.
pub(crate) fn is_consistent_under_threads(device: &Device, name: &str) -> Result<()> {
    const EACH: u64 = 300;
    let before = last_number(name)?;
    let mut newest = before;
    thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for (thread, state) in THREADS {
            let work = move || (0..EACH).try_for_each(|_| device.set_state(state).map(drop));
            let builder = thread::Builder::new().name(thread.to_owned());
            threads.push(builder.spawn_scoped(scope, work)?);
        }
        while threads.iter().any(|thread| !thread.is_finished()) {
            newest = consistent(&requests(name)?, newest)?;
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    let found = requests(name)?;
    consistent(&found, newest)?;
    equal("requests that are kept", found.len(), KEPT)?;
    let last = found.last().map(|request| request.number);
    equal(
        "last request",
        last,
        Some(before + EACH * THREADS.len() as u64),
    )?;
    let open = found.iter().find(|request| request.errno.is_none());
    ensure!(open.is_none(), "{open:?} has not ended");
    device.set_state(State::Running)?;
    Ok(())
}

/// What a reader sees while the threads are at work; returns the number of the last request.
fn consistent(found: &[Request], newest: u64) -> Result<u64> {
    let numbers: Vec<u64> = found.iter().map(|request| request.number).collect();
    let last = numbers.last().copied().unwrap_or(newest);
    ensure!(last >= newest, "{last} came after {newest}");
    let oldest = last.saturating_sub(KEPT as u64) + 1;
    let expected: Vec<u64> = (oldest..=last).collect();
    equal("numbers of the requests that are kept", &numbers, &expected)?;
    for request in found {
        let Some((_, state)) = THREADS.iter().find(|(thread, _)| *thread == request.comm) else {
            // It is older than the threads.
            continue;
        };
        equal(
            "state of a thread's request",
            request.to.as_str(),
            state.name(),
        )?;
        // The driver answers each, and each answer arrives.
        ensure!(
            matches!(request.errno, None | Some(0)) && request.errno == request.ioctl,
            "{request:?}"
        );
    }
    Ok(last)
}

/// While a driver is busy with the request of `thread`, the history shows it and can be read. Returns
/// when the driver is no more.
pub(crate) fn shows_request_under_way(
    name: &str,
    last: u64,
    is_finished: impl Fn() -> bool,
) -> Result<Vec<Request>> {
    let mut seen = Vec::new();
    while !is_finished() {
        match since(name, last)?.as_slice() {
            [] => {}
            [request] if request.errno.is_some() => break,
            [request] => seen.push(request.clone()),
            more => bail!("one request was made, and recorded are {more:?}"),
        }
    }
    Ok(seen)
}

/// The requests of the processes that have migrated a guest to the device or away from it, each of
/// which succeeded.
pub(crate) fn of_migrations(name: &str) -> Result<()> {
    for line in debugfs::content(&file(name))?.lines() {
        control::note(format!("{name} {line}"));
    }
    let found = requests(name)?;
    for two in found.windows(2) {
        let expected = match two[0].pid == two[1].pid {
            true => &two[0].to,
            // It has closed the device, and another process has opened it.
            false => State::Running.name(),
        };
        equal("state of the device", two[1].from.as_str(), expected)?;
    }
    for request in &found {
        let facts = (request.errno, request.ioctl);
        ensure!(facts == (Some(0), Some(0)), "{request:?} failed");
        ensure!(
            request.pid != std::process::id(),
            "{request:?} is not of QEMU"
        );
    }
    let requested = |state: State| found.iter().any(|request| request.to == state.name());
    for state in [State::Running, State::StopCopy, State::Resuming] {
        ensure!(requested(state), "nobody has requested {state}: {found:?}");
    }
    Ok(())
}

/// The numbers of the requests after `last`, if each was answered by success.
pub(crate) fn successes(name: &str, last: u64) -> Result<RangeInclusive<u64>> {
    let found = since(name, last)?;
    let failed = found
        .iter()
        .find(|r| r.errno != Some(0) || r.ioctl != Some(0));
    ensure!(failed.is_none(), "failed: {failed:?}");
    Ok(last + 1..=last + found.len() as u64)
}
