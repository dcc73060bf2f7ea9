// SPDX-License-Identifier: GPL-2.0

//! The files that hold data: `data`, `migf_data`, `dev_data`, `match`, and `cmd_state`.

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use rustix::io::Errno;
use vfio_client::State;

use super::Fixture;
use super::files::{Files, dump, lines};
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::{EQE_DMA, STREAM_SIZE};
use crate::scenario::support::transfer::{self, Path};

/// Bytes of the state that `dev_data` and `migf_data` show: all before the addresses.
const SHOWN_SIZE: usize = EQE_DMA.start;

/// What the files say of a device at rest is what a migration takes from it.
pub(super) fn mainline(fixture: &mut Fixture) -> Result<()> {
    for name in ["dev_data", "cmd_state"] {
        fixture.files().unreadable(name, Errno::NODEV)?;
    }
    let device = fixture.open()?;
    let text = fixture.files().read("dev_data")?;
    ensure!(
        text.ends_with("\nguest driver load: 0\ndata size: 40\n"),
        "dev_data without a driver in the guest:\n{text}"
    );
    drop(device);

    fixture.work()?;
    fixture.files().unreadable("migf_data", Errno::NODATA)?;
    equal(
        "cmd_state",
        fixture.files().read("cmd_state")?.as_str(),
        "mailbox cmd channel ready!\n",
    )?;
    let dev_data = fixture.files().read("dev_data")?;
    let file = fixture.vm.device()?.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    equal(
        "dev_data, stopped",
        &fixture.files().read("dev_data")?,
        &dev_data,
    )?;
    fixture.vm.device()?.set_state(State::Running)?;

    let mut expected = dump("Dev Data:", &stream[..SHOWN_SIZE]);
    expected.push("guest driver load: 1".to_owned());
    expected.push(format!("data size: {STREAM_SIZE}"));
    equal("dev_data", lines(&dev_data), expected)?;
    let mut expected = dump("Mig Data:", &stream[..SHOWN_SIZE]);
    expected.push(format!("migrate data length: {STREAM_SIZE}"));
    equal(
        "migf_data",
        lines(&fixture.files().read("migf_data")?),
        expected,
    )?;
    fixture.close()?;
    drop(fixture.open()?);
    fixture.files().unreadable("migf_data", Errno::NODATA)
}

/// `match` is there from bind on, unless the device did not answer then.
pub(super) fn match_data(fixture: &mut Fixture) -> Result<()> {
    let before = fixture.files().read("match")?;
    ensure!(before.contains("\ndevice: 0xa251\n"), "match is {before:?}");
    let device = fixture.open()?;
    equal(
        "match, open",
        fixture.files().read("match")?,
        before.clone(),
    )?;
    drop(device);
    equal(
        "match, closed",
        fixture.files().read("match")?,
        before.clone(),
    )?;

    ZIP0.set("fault", "fn1:mailbox-status=3")?;
    let unanswered = fixture.rebind().and_then(|()| {
        fixture.files().unreadable("match", Errno::NODATA)?;
        // It can be used all the same, but not migrated.
        let device = fixture.open()?;
        fixture.files().unreadable("match", Errno::NODATA)?;
        fixture.files().unreadable("dev_data", Errno::NODATA)?;
        fixture
            .files()
            .attributes_are(&[("queue count", "unknown")])?;
        refused("PRE_COPY", device.set_state(State::PreCopy), Errno::IO)?;
        equal("state", device.state()?, State::Running)
    });
    ZIP0.set("fault", "")?;
    unanswered?;
    drop(fixture.open()?);
    equal(
        "match, opened since",
        fixture.files().read("match")?,
        before,
    )
}

/// The mailbox is looked at: its status, whether it is busy, whether anything answers.
pub(super) fn mailbox(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    for (fault, errno) in [
        ("fn1:mailbox-status=3", Errno::IO),
        ("fn1:mailbox-timeout@pause-qm", Errno::BUSY),
    ] {
        ZIP0.set("fault", fault)?;
        let stopped = fixture.vm.device()?.set_state(State::Stop);
        let looked = fixture
            .files()
            .unreadable("cmd_state", errno)
            .and_then(|()| fixture.files().refuses("io_test", Errno::IO));
        ZIP0.set("fault", "")?;
        ensure!(stopped.is_err(), "PAUSE succeeded with {fault}");
        looked.with_context(|| format!("with {fault}"))?;
        fixture.vm.device()?.reset()?;
        fixture.vm.start_over()?;
        fixture.files().read("cmd_state")?;
        fixture.files().does("io_test")?;
    }
    Ok(())
}

/// `data` is what went over the wire, on both sides.
pub(super) fn both_sides(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let stopped = transfer::stop(&mut fixture.vm, Path::PreCopy, 4096, |_| Ok(()))?;
    let device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    transfer::load(&mut fixture.vm, device, &stopped.stream, &[40])?;
    stopped.device.set_state(State::Stop)?;
    let source = fixture.files().read("data")?;
    let destination = Files::of(&fixture.host.vfs[1]).read("data")?;
    equal("data of the destination", &destination, &source)?;
    let mut expected = dump("Mig Data:", &stopped.stream);
    expected.push(format!("migrate data length: {STREAM_SIZE}"));
    equal("data", lines(&source), expected)?;
    fixture.vm.work(16)
}

/// Data stay when the device is closed, and are gone for the next owner.
pub(super) fn kept(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let file = fixture.vm.device()?.set_state_with_file(State::StopCopy)?;
    file.read_available(4096)?;
    fixture.vm.device()?.set_state(State::Running)?;
    let data = fixture.files().read("data")?;
    let session = fixture.files().value("session")?;
    fixture.close()?;
    equal("data after close", fixture.files().read("data")?, data)?;
    fixture
        .files()
        .attributes_are(&[("session", &session), ("source", "user")])?;
    fixture.files().refuses("io_test", Errno::NODEV)?;
    let device = fixture.open()?;
    fixture.files().no_data()?;
    fixture
        .files()
        .attributes_are(&[("session", "none"), ("source", "none")])?;
    drop(device);
    fixture.files().no_data()
}

/// Data of a length that no whole session has are shown, and said not to be valid.
pub(super) fn cut_off(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    let device = fixture.open()?;
    for (length, migf_data) in [(8, false), (100, true)] {
        let file = device.set_state_with_file(State::Resuming)?;
        file.write(&stream[..length])?;
        device.reset()?;
        fixture
            .files()
            .attributes_are(&[("data valid", "no"), ("data size", &length.to_string())])?;
        let mut expected = dump("Mig Data:", &stream[..length]);
        expected.push(format!("migrate data length: {length}"));
        equal("data", lines(&fixture.files().read("data")?), expected)?;
        if migf_data {
            fixture.files().read("migf_data").map(drop)?;
        } else {
            fixture.files().unreadable("migf_data", Errno::NODATA)?;
        }
        fixture.files().attributes_are(&[("outdated", "yes")])?;
        fixture.files().refuses("resume", Errno::NODATA)?;
    }
    let session = fixture.files().value("session")?;
    ensure!(session.ends_with(" resume"), "session is {session:?}");
    Ok(())
}
