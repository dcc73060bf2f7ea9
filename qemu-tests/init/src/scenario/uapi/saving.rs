// SPDX-License-Identifier: GPL-2.0

//! The data file that is read, and the stream in it.

use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use vfio_client::ffi;
use vfio_client::{DataFile, PrecopyInfo, State};
use vm::engine::ZIP;

use super::{Fixture, go_to};
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE, VF_STATE};

const PRECOPY_INFO_SIZE: u32 = 24;

pub(super) fn precopy_info(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    let expected = |initial: usize| PrecopyInfo {
        flags: 0,
        initial: initial as u64,
        dirty: 0,
    };
    equal("info at first", file.precopy_info()?, expected(MATCH_SIZE))?;
    equal("bytes read", file.read(&mut [0; 10])?, 10)?;
    equal(
        "info after 10 bytes",
        file.precopy_info()?,
        expected(MATCH_SIZE - 10),
    )?;
    file.read_available(4096)?;
    equal("info after all bytes", file.precopy_info()?, expected(0))?;
    equal("flags", garbage_in_flags(&file)?, without_v2(fixture))?;
    for argsz in [0, 7, PRECOPY_INFO_SIZE - 1] {
        let short = file.precopy_info_with(argsz, 0);
        refused(&format!("argsz {argsz}"), short, Errno::INVAL)?;
    }
    file.precopy_info_with(PRECOPY_INFO_SIZE + 8, 0)
        .context("argsz above the structure's")?;
    refused("an unknown request", file.unknown_request(), Errno::NOTTY)
}

pub(super) fn precopy_info_refused(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    device.set_state(State::StopCopy)?;
    refused("info in STOP_COPY", file.precopy_info(), Errno::INVAL)?;
    device.set_state(State::Running)?;
    refused(
        "info of a session that is over",
        file.precopy_info(),
        Errno::INVAL,
    )?;
    let second = device.set_state_with_file(State::PreCopy)?;
    second
        .precopy_info()
        .context("info of the session that goes on")?;
    // The uAPI says nothing of a session that is over while there is another one. The C driver has
    // looked at the device's state by then, ours knows none and says what it said before.
    let over = if fixture.is_rust() {
        Errno::INVAL
    } else {
        Errno::NODEV
    };
    refused("info of the old session", file.precopy_info(), over)?;
    device.set_state(State::Running)?;
    let file = device.set_state_with_file(State::Resuming)?;
    refused("info of a file to write", file.precopy_info(), Errno::NOTTY)
}

pub(super) fn precopy_info_v2(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    device.use_precopy_info_v2()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    // No new initial data ever appear, and garbage in the flags does not come back.
    equal("flags", garbage_in_flags(&file)?, 0)?;
    drop(file);
    drop(device);
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    equal(
        "flags once the device was closed",
        garbage_in_flags(&file)?,
        without_v2(fixture),
    )?;
    // Nothing forbids to opt in when the session has begun.
    device.use_precopy_info_v2()?;
    equal("flags once more", garbage_in_flags(&file)?, 0)?;
    for state in [State::PreCopyP2p, State::PreCopy] {
        if device.features()?.include(state) {
            device.set_state(state)?;
            let info = file.precopy_info()?;
            equal(
                &format!("initial bytes in {state}"),
                info.initial,
                MATCH_SIZE as u64,
            )?;
        }
    }
    Ok(())
}

/// The flags that come back if garbage goes in.
fn garbage_in_flags(file: &DataFile) -> Result<u32> {
    Ok(file.precopy_info_with(PRECOPY_INFO_SIZE, 0xdead)?.flags)
}

/// The same without the opt-in to v2. The flags are reserved then: they come back as they were with
/// the C driver, and ours always says what they mean in v2.
fn without_v2(fixture: &Fixture) -> u32 {
    if fixture.is_rust() { 0 } else { 0xdead }
}

/// The end of the data there are in PRE_COPY, as the driver reports it.
fn end_for_now(fixture: &Fixture, file: &DataFile) -> Result<()> {
    let end = file.read(&mut [0; 16]);
    if fixture.is_rust() {
        // What the uAPI asks for: there may be more later.
        refused("read at the end of PRE_COPY data", end, Errno::NOMSG)
    } else {
        // The C driver answers as if the stream were over.
        equal("read at the end of PRE_COPY data", end?, 0)
    }
}

pub(super) fn read_semantics(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    refused(
        "read at an offset",
        file.file().read_at(&mut [0], 0),
        Errno::SPIPE,
    )?;
    let mut position = file.file();
    let seek = position.seek(SeekFrom::Start(0));
    refused("seek", seek, Errno::SPIPE)?;
    refused("write", file.write(&[0]), Errno::BADF)?;
    equal("read of nothing", file.read(&mut [])?, 0)?;
    refused(
        "read to nowhere",
        ffi::read_to_nowhere(&file, 8),
        Errno::FAULT,
    )?;
    let first = file.read_available(3)?;
    equal("bytes in PRE_COPY", first.len(), MATCH_SIZE)?;
    end_for_now(fixture, &file)?;
    end_for_now(fixture, &file)?;
    device.set_state(State::StopCopy)?;
    for _ in 0..2 {
        equal(
            "read at the end of STOP_COPY data",
            file.read(&mut [0; 16])?,
            0,
        )?;
    }
    device.set_state(State::Running)?;
    let straight = device
        .set_state_with_file(State::StopCopy)?
        .read_available(4096)?;
    // The state of the driver is known only once the device has stopped.
    let known = |stream: &[u8]| [&stream[..VF_STATE.start], &stream[VF_STATE.end..]].concat();
    equal(
        "the two streams of an idle device",
        known(&straight),
        known(&first),
    )
}

pub(super) fn left(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    let device = fixture.open()?;
    let features = device.features()?;
    for (during, after) in [
        (State::PreCopy, State::Running),
        (State::StopCopy, State::Stop),
        (State::Resuming, State::Stop),
        (State::PreCopyP2p, State::RunningP2p),
    ] {
        if !features.include(during) {
            continue;
        }
        let file = go_to(&device, during, &stream)?.context("no data file")?;
        device.set_state(after)?;
        let used = if during == State::Resuming {
            file.write(&[0])
        } else {
            file.read(&mut [0])
        };
        refused(
            &format!("the data file of {during} in {after}"),
            used,
            Errno::NODEV,
        )?;
        device.set_state(State::Running)?;
    }
    Ok(())
}

pub(super) fn closed(fixture: &mut Fixture) -> Result<()> {
    for state in [State::PreCopy, State::StopCopy, State::Resuming] {
        let device = fixture.open()?;
        let file = device.set_state_with_file(state)?;
        drop(device);
        let used = if state == State::Resuming {
            file.write(&[0])
        } else {
            file.read(&mut [0])
        };
        refused(&format!("the data file of {state}"), used, Errno::NODEV)?;
    }
    Ok(())
}

fn number(stream: &[u8], offset: usize, length: usize) -> u64 {
    let bytes = stream[offset..offset + length].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn check_match_part(stream: &[u8], ready: u64) -> Result<()> {
    equal("magic", number(stream, 0, 8), 0xaacc_feed_deca_dede)?;
    equal("device", number(stream, 12, 4), u64::from(ZIP.vf))?;
    equal("isolation", number(stream, 16, 4), 0)?;
    equal("state of the driver", number(stream, 24, 4), ready)?;
    equal("major version", number(stream, 28, 2), 1)?;
    ensure!(
        (1..=1024).contains(&number(stream, 8, 4)),
        "{} queues",
        number(stream, 8, 4)
    );
    Ok(())
}

pub(super) fn stream_without_driver(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    check_match_part(&stream, 1)?;
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::Resuming)?;
    file.write_chunks(&stream, &[7])?;
    device.set_state(State::Stop).context("loading it")?;
    device
        .set_state(State::Running)
        .map(drop)
        .context("running on")
}

pub(super) fn stream_with_driver(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    fixture.vm.attach(device);
    let queues = fixture.vm.bring_up()?;
    let file = fixture.vm.device()?.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    drop(fixture.vm.detach()?);
    fixture.vm.forget();

    equal("size", stream.len(), STREAM_SIZE)?;
    check_match_part(&stream, 0)?;
    equal("queue number", number(&stream, 8, 4), u64::from(queues))?;
    let tables = fixture.vm.addresses();
    for (name, offset, expected) in [
        ("AEQ mask", 40, 0),
        ("EQ mask", 44, 0),
        ("message source", 48, 0),
        ("message mask", 52, 0),
        ("message to the PF", 56, 0),
        ("page size", 60, 0),
    ] {
        equal(name, number(&stream, offset, 4), expected)?;
    }
    equal("EQ in the EQC", number(&stream, 64 + 4, 8), tables.events)?;
    equal(
        "AEQ in the AEQC",
        number(&stream, 92 + 4, 8),
        tables.abnormal_events,
    )?;
    equal("EQ", number(&stream, 144, 8), tables.events)?;
    equal("AEQ", number(&stream, 152, 8), tables.abnormal_events)?;
    equal(
        "SQ contexts",
        number(&stream, 160, 8),
        tables.submission_contexts,
    )?;
    equal(
        "CQ contexts",
        number(&stream, 168, 8),
        tables.completion_contexts,
    )
}

pub(super) fn outlives_driver(fixture: &mut Fixture) -> Result<()> {
    let vf = &fixture.host.vfs[0];
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    drop(device);
    vf.unbind()?;
    refused("info", file.precopy_info(), Errno::INVAL)?;
    refused("read", file.read(&mut [0]), Errno::NODEV)?;
    drop(file);
    vf.bind(&fixture.host.driver_name()?)
}
