// SPDX-License-Identifier: GPL-2.0

//! Weaknesses that reach memory which is not the driver's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control::ZIP0;
use linux::sysfs::Function;
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{DataFile, State};

use super::Seen;
use super::fixture::{resuming, with};
use crate::expect::{equal, errno};
use crate::host::{self, Driver, Host};
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::stuck_thread::{Fate, Task};

/// Makes a match check take a second, if it asks the VF.
const SLOW_CHECK: &str = "fn1:mailbox-timeout@sqc-vft";
/// A thread that is to wait may come too late on a busy machine.
const ATTEMPTS: usize = 5;
const LONG: Duration = Duration::from_secs(20);

/// The bytes that are written past the end.
const PAST: [u8; 8] = 0x5745_414b_u64.to_le_bytes();

fn written(write: &Task<std::io::Result<usize>>) -> Result<Option<usize>> {
    match write.wait(LONG, |_| false) {
        Fate::Done(Ok(bytes)) => Ok(Some(bytes)),
        Fate::Done(Err(_)) => Ok(None),
        _ => bail!("a write does not end"),
    }
}

/// Two writes look how much room there is, and then wait for a third one that has the lock. They
/// go 8 bytes past the end, which is where the C driver keeps the length.
pub(super) fn waiting_writers(fixture: &mut Fixture) -> Result<Seen> {
    let stream = fixture.full_stream()?;
    let rest = with(&stream[MATCH_SIZE..], STREAM_SIZE - MATCH_SIZE - 8, &PAST);
    for _ in 0..ATTEMPTS {
        let device = fixture.open()?;
        let file = Arc::new(resuming(&device)?);
        ZIP0.set("fault", SLOW_CHECK)?;
        let (held, head) = (file.clone(), stream[..MATCH_SIZE].to_vec());
        let first = Task::start(move || held.write(&head))?;
        first.settle();
        let (held, data) = (file.clone(), rest.clone());
        let second = Task::start(move || held.write(&data))?;
        let held = file.clone();
        let third = Task::start(move || held.write(&PAST))?;
        second.settle();
        third.settle();
        ZIP0.set("fault", "")?;
        let all = [written(&first)?, written(&second)?, written(&third)?];
        match all {
            [_, Some(136), Some(8)] => {
                device.reset()?;
                let text = fixture.debug("migf_data")?;
                let length = text.lines().last().unwrap_or_default();
                return Ok(Seen::Weak(format!(
                    "writes of 40, 136 and 8 bytes go into a buffer of 176: \"{length}\""
                )));
            }
            [Some(40), None, Some(8)] | [Some(40), Some(136), None] => {
                if fixture.host.driver.is_rust() {
                    return Ok(Seen::Sound(format!(
                        "of writes of 40, 136 and 8 bytes one is refused: {all:?}"
                    )));
                }
            }
            other => bail!("writes of 40, 136 and 8 bytes: {other:?}"),
        }
    }
    bail!("the writers never waited for each other")
}

/// The PF is bound to vfio-pci, so the VF's driver finds no PF driver of its kind.
pub(super) fn reset_without_pf_driver(setup: &Setup) -> Result<Seen> {
    let driver = setup.driver.unwrap_or_default();
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    host::load_vfio(&modules)?;
    modules.load_with("vfio_pci", "enable_sriov=1")?;
    pf.bind("vfio-pci")?;
    modules.load(host::module_of(driver))?;
    reset(&pf, driver)
}

/// VFs of hardware V2 cannot migrate, though the PF has the driver of its engine.
pub(super) fn reset_on_hardware_v2(setup: &Setup) -> Result<Seen> {
    let driver = setup.driver.unwrap_or_default();
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    equal("revision", pf.number("revision")?, 0x21)?;
    host::load_vfio(&modules)?;
    modules.load(host::module_of(driver))?;
    reset(&pf, driver)
}

/// Resets a VF that is bound to `driver`.
fn reset(pf: &Function, driver: Driver) -> Result<Seen> {
    pf.enable_vfs(1, false)?;
    let vf = pf.virtual_function(0)?;
    vf.bind(&Host::name_of(driver)?)?;
    let reset = Task::start(move || vf.reset())?;
    match reset.wait(LONG, |_| false) {
        Fate::Done(result) => {
            result.context("resetting the VF")?;
            Ok(Seen::Sound("the VF is reset".into()))
        }
        Fate::Killed => Ok(Seen::Broken("the thread that resets is killed".into())),
        Fate::StuckInKernel => bail!("the reset does not end"),
    }
}

/// The answer of a file whose device is gone.
fn answer(file: &DataFile) -> Result<Option<Errno>> {
    match file.precopy_info() {
        Ok(info) => bail!("the file of a device that is gone answers {info:?}"),
        Err(error) => Ok(errno(&error)),
    }
}

/// The next device that is bound gets the memory of the one that is gone, if the file asks that.
pub(super) fn file_without_device(fixture: &mut Fixture) -> Result<Seen> {
    let vf = fixture.host.vfs[0].clone();
    for _ in 0..ATTEMPTS {
        let device = fixture.open()?;
        let file = device.set_state_with_file(State::PreCopy)?;
        drop(device);
        vf.unbind()?;
        vf.bind(&fixture.host.driver_name()?)?;
        let next = fixture.open()?;
        let running = answer(&file)?;
        next.set_state(State::PreCopy)?;
        match (running, answer(&file)?) {
            (Some(Errno::INVAL), Some(Errno::NODEV)) => {
                return Ok(Seen::Weak(
                    "the file answers EINVAL or ENODEV as the state is of a device that was bound \
                     later"
                        .into(),
                ));
            }
            // With the C driver the memory is free, or in other use.
            (Some(Errno::INVAL), Some(Errno::INVAL)) => {
                if fixture.host.driver.is_rust() {
                    return Ok(Seen::Sound(
                        "the file fails with EINVAL, whatever the next device does".into(),
                    ));
                }
            }
            other => bail!("the file of a device that is gone answers {other:?}"),
        }
    }
    bail!("no device got the memory of the one that is gone")
}
