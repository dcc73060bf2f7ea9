// SPDX-License-Identifier: GPL-2.0

//! The data file that is written, and what is refused.

use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use vfio_client::ffi;
use vfio_client::{DataFile, Device, State};

use super::Fixture;
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

/// Fields of the stream's match part: name, offset, length.
const MATCH_FIELDS: [(&str, usize, usize); 5] = [
    ("magic", 0, 8),
    ("queue number", 8, 4),
    ("device", 12, 4),
    ("isolation", 16, 4),
    ("major version", 28, 2),
];

fn resuming(device: &Device) -> Result<DataFile> {
    if device.state()? != State::Running {
        device.reset()?;
    }
    device.set_state_with_file(State::Resuming)
}

pub(super) fn write_semantics(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    let file = resuming(&device)?;
    refused(
        "write at an offset",
        file.file().write_at(&stream, 0),
        Errno::SPIPE,
    )?;
    refused("read", file.read(&mut [0]), Errno::BADF)?;
    refused(
        "write from nowhere",
        ffi::write_from_nowhere(&file, 8),
        Errno::FAULT,
    )?;
    let long = [&stream[..], &[0]].concat();
    refused(
        "write of more than a stream",
        file.write(&long),
        Errno::NOMEM,
    )?;
    file.write_chunks(&stream, &[39, 2, 100])
        .context("writing it after these refusals")?;
    refused("write of one byte more", file.write(&[0]), Errno::NOMEM)?;
    equal("write of nothing", file.write(&[])?, 0)?;
    device.set_state(State::Stop).context("loading it")?;
    // The VM has gone; leave nothing behind that would use its memory.
    device.reset().context("reset")
}

fn spoiled(stream: &[u8], offset: usize, length: usize) -> Vec<u8> {
    let mut stream = stream.to_vec();
    stream[offset..offset + length]
        .iter_mut()
        .for_each(|byte| *byte ^= 0x55);
    stream
}

pub(super) fn mismatches(fixture: &mut Fixture) -> Result<()> {
    for (name, offset, length) in MATCH_FIELDS {
        let stream = spoiled(&fixture.match_stream()?, offset, length);
        // The C driver checks once for each time the device is opened.
        let device = fixture.open()?;
        let file = resuming(&device)?;
        file.write_chunks(&stream[..MATCH_SIZE - 1], &[])
            .context("before it is complete")?;
        let last = file.write(&stream[MATCH_SIZE - 1..]);
        refused(&format!("wrong {name}"), last, fixture.mismatch())?;
        // The C driver goes on with a stream that it has found not to fit, and loads it.
        if fixture.is_rust() {
            refused("a write after that", file.write(&[0]), Errno::INVAL)?;
            refused(
                "loading after that",
                device.set_state(State::Stop),
                Errno::INVAL,
            )?;
            let state = device.state()?;
            ensure!(
                matches!(state, State::Resuming | State::Error),
                "expected RESUMING or ERROR after a refused load, got {state}",
            );
        }
        device.reset()?;
        equal("state after a reset", device.state()?, State::Running)?;
    }
    Ok(())
}

pub(super) fn second_session(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    let device = fixture.open()?;
    let file = resuming(&device)?;
    file.write_chunks(&stream, &[])?;
    device.set_state(State::Running)?;
    let file_of_second = resuming(&device)?;
    refused("write to the first session", file.write(&[0]), Errno::NODEV)?;
    let wrong = spoiled(&stream, 12, 4);
    // The C driver remembers that a stream has fit once.
    if fixture.is_rust() {
        refused("wrong device", file_of_second.write(&wrong), Errno::INVAL)?;
    }
    device.reset().context("reset")
}

pub(super) fn truncated(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    let mut lengths = vec![0, 1, MATCH_SIZE - 1, MATCH_SIZE + 1, 100, STREAM_SIZE - 1];
    // To the C driver this is the stream of a device without driver; the streams of ours say in a
    // field that it ignores that more was to come.
    if fixture.is_rust() {
        lengths.push(MATCH_SIZE);
    }
    for length in lengths {
        let file = resuming(&device)?;
        file.write_chunks(&stream[..length], &[])?;
        let what = format!("loading {length} bytes");
        refused(&what, device.set_state(State::Stop), Errno::INVAL)?;
        drop(file);
        device.reset()?;
        equal(
            &format!("state after {what} and a reset"),
            device.state()?,
            State::Running,
        )?;
    }
    Ok(())
}

pub(super) fn two_writers(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    for _ in 0..50 {
        let file = resuming(&device)?;
        let write = || file.write(&stream);
        let results = std::thread::scope(|scope| {
            let writers = [0; 4].map(|_| scope.spawn(write));
            writers.map(|writer| writer.join())
        });
        let mut written = 0;
        for result in results {
            match result.map_err(|_| anyhow::anyhow!("a writer panicked"))? {
                Ok(bytes) => written += bytes,
                late => refused("a write that came late", late, Errno::NOMEM)?,
            }
        }
        equal("bytes written by four writers", written, STREAM_SIZE)?;
    }
    Ok(())
}
