// SPDX-License-Identifier: GPL-2.0

//! States and the arcs between them.

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use rustix::io::Errno;
use vfio_client::{DataFile, Device, Features, State};

use super::{Fixture, go_to};
use crate::expect::{equal, refused};

pub(super) fn fresh(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    equal("state", device.state()?, State::Running)?;
    device.set_state(State::Stop)?;
    drop(device);
    equal(
        "state after closing in STOP",
        fixture.open()?.state()?,
        State::Running,
    )
}

pub(super) fn arcs(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    every_arc(&fixture.open()?, &stream)
}

/// Requests each state in each state of a running device that can load `stream`.
pub(in crate::scenario) fn every_arc(device: &Device, stream: &[u8]) -> Result<()> {
    let features = device.features()?;
    let mut tried = 0;
    for current in State::ALL
        .into_iter()
        .filter(|state| features.include(*state))
    {
        // No request leads into ERROR; a failure may.
        if current == State::Error {
            continue;
        }
        for new in State::ALL {
            tried += 1;
            let file = go_to(device, current, stream)?;
            let second = arc(device, features, current, new);
            let second = second.with_context(|| format!("{current} to {new}"))?;
            if let (State::Resuming, Some(second)) = (new, second) {
                second.write_chunks(stream, &[])?;
            }
            device
                .set_state(State::Running)
                .with_context(|| format!("{new} to RUNNING"))?;
            drop(file);
        }
    }
    ensure!(
        tried >= 5 * State::ALL.len(),
        "only {tried} arcs were tried"
    );
    Ok(())
}

fn arc(
    device: &Device,
    features: Features,
    current: State,
    new: State,
) -> Result<Option<DataFile>> {
    let result = device.set_state(new);
    match features.grants(current, new) {
        None => {
            refused("the request", result, Errno::INVAL)?;
            equal("state after a refusal", device.state()?, current)?;
            Ok(None)
        }
        Some(wanted) => {
            let file = result?;
            equal("a data file came", file.is_some(), wanted)?;
            equal("state", device.state()?, new)?;
            Ok(file)
        }
    }
}

pub(super) fn unknown_states(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    for number in [8, 100, u32::MAX] {
        refused(
            &format!("state {number}"),
            device.set_state_number(number),
            Errno::INVAL,
        )?;
        equal("state after it", device.state()?, State::Running)?;
    }
    Ok(())
}

pub(super) fn reset(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.match_stream()?;
    every_reset(&fixture.open()?, &stream)
}

/// Resets a running device that can load `stream` in each state.
pub(in crate::scenario) fn every_reset(device: &Device, stream: &[u8]) -> Result<()> {
    let features = device.features()?;
    for state in State::ALL
        .into_iter()
        .filter(|state| features.include(*state))
    {
        if state == State::Error {
            continue;
        }
        let file = go_to(device, state, stream)?;
        device
            .reset()
            .with_context(|| format!("reset in {state}"))?;
        equal(
            &format!("state after a reset in {state}"),
            device.state()?,
            State::Running,
        )?;
        let Some(file) = file else { continue };
        let used = if state == State::Resuming {
            file.write(&[0])
        } else {
            file.read(&mut [0])
        };
        refused(
            &format!("the data file of {state} after a reset"),
            used,
            Errno::NODEV,
        )?;
    }
    Ok(())
}

pub(super) fn mailbox_error(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    ZIP0.set("fault", "fn1:mailbox-status=3")?;
    let result = device.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    refused("RUNNING to STOP", result, Errno::IO)?;
    let state = device.state()?;
    ensure!(
        matches!(state, State::Running | State::Error),
        "expected RUNNING or ERROR after a failed stop, got {state}",
    );
    device.reset()?;
    equal("state after a reset", device.state()?, State::Running)?;
    device
        .set_state(State::Stop)
        .context("RUNNING to STOP without the fault")?;
    Ok(())
}
