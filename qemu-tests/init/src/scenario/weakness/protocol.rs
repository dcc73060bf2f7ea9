// SPDX-License-Identifier: GPL-2.0

//! Weaknesses in how the protocol is kept.

use anyhow::{Context, Result, bail};
use control::ZIP0;
use linux::sysfs;
use rustix::io::Errno;
use vfio_client::State;

use super::Seen;
use crate::expect::{errno, refused};
use crate::host;
use crate::modules;
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;

fn references(module: &str) -> Result<u64> {
    let count = sysfs::read(format!("/sys/module/{module}/refcnt"))?;
    count.trim().parse().context("refcnt is no number")
}

/// Comes last: if it shows, the driver cannot be unloaded; if not, it is.
pub(super) fn failed_save(fixture: &mut Fixture) -> Result<Seen> {
    let module = host::module_of(fixture.host.driver);
    fixture.work()?;
    fixture.vm.device()?.set_state(State::Stop)?;
    ZIP0.set("fault", "fn1:mailbox-status=3@sqc-bt")?;
    let result = fixture.vm.device()?.set_state(State::StopCopy);
    ZIP0.set("fault", "")?;
    refused("STOP to STOP_COPY", result, Errno::IO)?;
    fixture.vm.device()?.reset()?;
    fixture.close()?;
    for vf in &fixture.host.vfs {
        vf.unbind()?;
    }
    let held = references(module)?;
    match (held, modules::unload(module)) {
        (0, Ok(())) => Ok(Seen::Sound(
            "nothing holds the module, and it is unloaded".into(),
        )),
        (1.., Err(error)) => Ok(Seen::Weak(format!(
            "with nothing open or bound the module is held {held} time: {error:#}"
        ))),
        (held, result) => bail!("held {held} times, unloading it: {result:?}"),
    }
}

pub(super) fn end_of_pre_copy(fixture: &mut Fixture) -> Result<Seen> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    file.read_available(4096)?;
    match file.read(&mut [0; 16]) {
        Ok(0) => Ok(Seen::Weak(
            "read returns 0 in PRE_COPY, as at the end of the stream".into(),
        )),
        Err(error) if errno(&error) == Some(Errno::NOMSG) => {
            Ok(Seen::Sound("read fails with ENOMSG in PRE_COPY".into()))
        }
        other => bail!("read at the end of PRE_COPY data: {other:?}"),
    }
}

pub(super) fn never_opened(fixture: &mut Fixture) -> Result<Seen> {
    fixture.rebind()?;
    let state = debugfs::content(&fixture.file("migration/state"))?;
    match state.trim_end() {
        "ERROR" => Ok(Seen::Weak("migration/state says ERROR".into())),
        "RUNNING" => Ok(Seen::Sound("migration/state says RUNNING".into())),
        other => bail!("migration/state says {other:?}"),
    }
}
