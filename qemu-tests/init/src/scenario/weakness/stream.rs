// SPDX-License-Identifier: GPL-2.0

//! Weaknesses in what is done with a stream.

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use vfio_client::State;

use super::Seen;
use super::fixture::{all_commands, commands, doorbells, resuming, with};
use crate::expect::{errno, refused};
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stream_layout::{
    DEVICE, EQE_DMA, MAGIC_V1, MATCH_SIZE, QUEUE_COUNT, STREAM_SIZE,
};

/// The PCI device of a SEC VF.
const OTHER_DEVICE: [u8; 4] = 0xa256_u32.to_le_bytes();
/// More queues than any function has.
const TOO_MANY: u32 = 4096;

pub(super) fn refused_and_loaded(fixture: &mut Fixture) -> Result<Seen> {
    let stream = with(&fixture.full_stream()?, DEVICE.start, &OTHER_DEVICE);
    let device = fixture.open()?;
    let file = resuming(&device)?;
    ensure!(
        file.write(&stream).is_err(),
        "a stream of another device was taken"
    );
    let before = commands("sqc-bt")?;
    let result = device.set_state(State::Stop);
    let loaded = commands("sqc-bt")? - before;
    device.reset()?;
    match result {
        Ok(_) => Ok(Seen::Weak(format!(
            "RESUMING to STOP succeeds after the write was refused; {loaded} table was set"
        ))),
        Err(error) => {
            refused::<()>("RESUMING to STOP", Err(error), Errno::INVAL)?;
            ensure!(loaded == 0, "the refused stream was loaded");
            Ok(Seen::Sound(
                "RESUMING to STOP is refused with EINVAL".into(),
            ))
        }
    }
}

pub(super) fn second_session(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.match_stream()?;
    let device = fixture.open()?;
    let first = resuming(&device)?;
    first.write_chunks(&stream, &[])?;
    device.set_state(State::Running)?;
    drop(first);
    let second = resuming(&device)?;
    let result = second.write(&with(&stream, DEVICE.start, &OTHER_DEVICE));
    device.reset()?;
    match result {
        Ok(_) => Ok(Seen::Weak(
            "the second session takes the stream of another device".into(),
        )),
        Err(error) => {
            refused::<()>("the write", Err(error), Errno::INVAL)?;
            Ok(Seen::Sound("the second session refuses it as well".into()))
        }
    }
}

pub(super) fn number_of_queues(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    // A stream that fits comes first: the C driver does not look at the next one.
    let first = resuming(&device)?;
    first.write_chunks(&stream, &[])?;
    device.set_state(State::Stop)?;
    device.reset()?;
    let second = resuming(&device)?;
    let written = second.write(&with(&stream, QUEUE_COUNT.start, &TOO_MANY.to_le_bytes()));
    let loaded = device.set_state(State::Stop);
    let seen = match (written, loaded) {
        (Ok(_), Ok(_)) => {
            let before = doorbells()?;
            device.set_state(State::Running)?;
            let rung = doorbells()? - before;
            ensure!(rung >= u64::from(TOO_MANY), "only {rung} doorbells");
            Seen::Weak(format!(
                "STOP to RUNNING rings {rung} doorbells, as many as the stream says"
            ))
        }
        (Err(written), Err(loaded)) => {
            refused::<()>("the write", Err(written), Errno::INVAL)?;
            refused::<()>("RESUMING to STOP", Err(loaded), Errno::INVAL)?;
            Seen::Sound(format!("{TOO_MANY} queues are refused with EINVAL"))
        }
        other => bail!("write and load do not agree: {other:?}"),
    };
    device.reset()?;
    Ok(seen)
}

pub(super) fn cut_off(fixture: &mut Fixture) -> Result<Seen> {
    fixture.work()?;
    let file = fixture.vm.device()?.set_state_with_file(State::PreCopy)?;
    let head = file.read_available(4096)?;
    ensure!(head.len() == MATCH_SIZE, "{} bytes in PRE_COPY", head.len());
    // The source dies here.
    drop(file);
    fixture.close()?;
    let device = fixture.open()?;
    let file = resuming(&device)?;
    file.write_chunks(&head, &[])?;
    let result = device.set_state(State::Stop);
    device.reset()?;
    match result {
        Ok(_) => Ok(Seen::Weak(format!(
            "{MATCH_SIZE} of {STREAM_SIZE} bytes of a working device are loaded without error"
        ))),
        Err(error) => {
            refused::<()>("RESUMING to STOP", Err(error), Errno::INVAL)?;
            Ok(Seen::Sound(format!(
                "{MATCH_SIZE} of {STREAM_SIZE} bytes are refused with EINVAL"
            )))
        }
    }
}

/// In version 1 the address of the event queue was composed wrongly, and the C driver composes it
/// again when the match data are there. Here the stream has none, as it can be with addresses
/// that compose to 0.
pub(super) fn version_1_in_pieces(fixture: &mut Fixture) -> Result<Seen> {
    let stream = with(&fixture.full_stream()?, 0, &MAGIC_V1.to_le_bytes());
    let stream = with(&stream, EQE_DMA.start, &[0; 8]);
    let mut set = Vec::new();
    for chunks in [&[STREAM_SIZE][..], &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE]] {
        // The check that composes it is made once for each time the device is opened.
        let device = fixture.open()?;
        let file = resuming(&device)?;
        let before = commands("sqc-bt")?;
        file.write_chunks(&stream, chunks)?;
        device.set_state(State::Stop)?;
        set.push(commands("sqc-bt")? - before);
        device.reset()?;
    }
    match set[..] {
        [1, 0] => Ok(Seen::Weak(
            "the same bytes are loaded if written at once, and not if written in two pieces".into(),
        )),
        [1, 1] => Ok(Seen::Sound(
            "the stream is loaded, at once and in two pieces".into(),
        )),
        _ => bail!("tables set at once and in two pieces: {set:?}"),
    }
}

pub(super) fn errno_of_mismatch(fixture: &mut Fixture) -> Result<Seen> {
    let stream = with(&fixture.match_stream()?, DEVICE.start, &OTHER_DEVICE);
    let device = fixture.open()?;
    let file = resuming(&device)?;
    let result = file.write(&stream);
    device.reset()?;
    let error = result.err().context("the write succeeded")?;
    match errno(&error) {
        Some(Errno::FAULT) => Ok(Seen::Weak(
            "the write fails with EFAULT, as if its buffer were bad".into(),
        )),
        Some(Errno::INVAL) => {
            let attr = debugfs::content(&fixture.file("migration/hisi_acc/attr"))?;
            let reason = attr.lines().find(|line| line.starts_with("refused: "));
            let reason = reason.context("attr does not tell what was refused")?;
            ensure!(reason.contains(", device expected "), "{reason}");
            Ok(Seen::Sound(format!("EINVAL, and attr has \"{reason}\"")))
        }
        _ => bail!("the write failed with {error}"),
    }
}

pub(super) fn write_uses_mailbox(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.match_stream()?;
    let device = fixture.open()?;
    let file = resuming(&device)?;
    let before = all_commands()?;
    file.write_chunks(&stream, &[])?;
    let given = all_commands()? - before;
    device.reset()?;
    Ok(if given > 0 {
        Seen::Weak(format!("a write of match data gives {given} command"))
    } else {
        Seen::Sound("a write of match data gives no command".into())
    })
}
