// SPDX-License-Identifier: GPL-2.0

//! Weaknesses of the locks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use control::ZIP0;
use linux::ffi;
use vfio_client::State;
use vm::qm::registers;

use super::Seen;
use super::fixture::{register, resuming};
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stuck_thread::{Fate, Task};

/// Makes a match check take a second, if it asks the VF.
const SLOW_CHECK: &str = "fn1:mailbox-timeout@sqc-vft";

/// A thread that is to come in time may come too late on a busy machine.
const ATTEMPTS: usize = 5;

/// Each of these steps takes a second at most.
const LONG: Duration = Duration::from_secs(20);

/// A write holds the lock of the session while it waits for the VF. Both the end of a reset and
/// the close want it.
pub(super) fn close_during_reset(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.match_stream()?;
    for _ in 0..ATTEMPTS {
        let (device, stream) = (fixture.open()?, stream.clone());
        let (vf, file) = (fixture.host.vfs[0].clone(), resuming(&device)?);
        ZIP0.set("fault", SLOW_CHECK)?;
        let reset = Task::start(move || vf.reset())?;
        // The VF is reset at once, and given time to recover.
        reset.settle();
        let write = Task::start(move || file.write(&stream))?;
        write.settle();
        let close = Task::start(move || drop(device))?;
        let fates = (close.wait(LONG, |_| false), reset.wait(LONG, |_| false));
        ZIP0.set("fault", "")?;
        match fates {
            (Fate::Done(()), Fate::Done(result)) => result?,
            (Fate::Killed, _) => {
                return Ok(Seen::Broken("the thread that closes is killed".into()));
            }
            (_, Fate::Killed) => {
                return Ok(Seen::Broken("the thread that resets is killed".into()));
            }
            _ => bail!("close or reset does not end"),
        }
        ensure!(
            matches!(write.wait(LONG, |_| false), Fate::Done(_)),
            "the write does not end"
        );
    }
    Ok(Seen::Sound("close, reset and write end".into()))
}

/// The buffer of the read is the device's own memory, which cannot be mapped during a reset.
pub(super) fn read_against_reset(fixture: &mut Fixture) -> Result<Seen> {
    for _ in 0..ATTEMPTS {
        let mut device = fixture.open()?;
        device.enable()?;
        let device = Arc::new(device);
        let file = device.set_state_with_file(State::PreCopy)?;
        let held = device.clone();
        let reset = Task::start(move || held.reset())?;
        reset.settle();
        let held = device.clone();
        let read = Task::start(move || {
            let memory = held.registers()?;
            anyhow::Ok(ffi::read_into(&file, memory, registers::EQ_INT_MASK, 4))
        })?;
        let patience = fixture.patience();
        let reset_fate = reset.wait(patience, |_| false);
        match (reset_fate, read.wait(patience, |_| false)) {
            (Fate::Done(reset), Fate::Done(read)) => {
                reset?;
                // What it reads, or that the session is over, depends on which of the two was
                // first.
                drop(read?);
            }
            (Fate::StuckInKernel, Fate::StuckInKernel) if reset.sleeps() && read.sleeps() => {
                return Ok(Seen::Broken(
                    "the reset and the read wait for each other".into(),
                ));
            }
            _ => bail!("only one of reset and read does not end"),
        }
    }
    Ok(Seen::Sound("both the reset and the read end".into()))
}

pub(super) fn load_during_write(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.full_stream()?;
    for _ in 0..ATTEMPTS {
        let device = fixture.open()?;
        let (file, data) = (resuming(&device)?, stream.clone());
        ZIP0.set("fault", SLOW_CHECK)?;
        let write = Task::start(move || file.write(&data))?;
        write.settle();
        let waits = write.sleeps();
        let loaded = device.set_state(State::Stop);
        let ready = register(&device, registers::VF_STATE)? == registers::READY;
        let unfinished = waits && write.sleeps();
        ZIP0.set("fault", "")?;
        let Fate::Done(written) = write.wait(LONG, |_| false) else {
            bail!("the write does not end");
        };
        if !waits {
            let written = written?;
            ensure!(written == stream.len(), "{written} bytes written");
            loaded?;
            ensure!(ready, "the VF is not ready with its state loaded");
            device.reset()?;
            return Ok(Seen::Sound(
                "the write does not wait for the VF, and ends before the load".into(),
            ));
        }
        device.reset()?;
        if unfinished && ready {
            return Ok(Seen::Weak(
                "the VF is given a stream that a write is still checking".into(),
            ));
        }
    }
    bail!("the load never came while the write went on")
}
