// SPDX-License-Identifier: GPL-2.0

//! Migrations that are refused, cancelled, or whose destination dies: the guest goes on working
//! where it is, and can migrate afterwards.

use std::fs;
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use control::{EmulatedDevice, Report, ZIP0};
use linux::sysfs::Function;
use monitor::{Guest, Limits, Vmm};
use protocol::Setup;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use serde_json::json;
use vm::engine::{SEC, ZIP};

use super::fixture::{GuestFixture, Test};
use super::migrate_under_load::{LATENCY, WITHIN, WORK};
use crate::expect;
use crate::host::Host;

/// All of the guest's memory takes longer than QEMU needs to see that the guest may be stopped.
const SLOW: Limits = Limits {
    bandwidth: 16 << 20,
    ..Limits::GENEROUS
};

const TESTS: [Test; 8] = [
    (
        "a VF with more queues refuses, and the guest never stops",
        other_queues,
    ),
    (
        "a VF of another engine refuses, and the guest never stops",
        other_engine,
    ),
    (
        "cancelled before the destination answers",
        cancelled_in_setup,
    ),
    ("cancelled while the guest runs", cancelled_running),
    (
        "cancelled when the guest was stopped, and nothing sent",
        cancelled_before_switchover,
    ),
    ("cancelled while the guest stands still", cancelled_stopped),
    ("the destination dies while the guest runs", killed_running),
    (
        "the destination dies while the guest stands still",
        killed_stopped,
    ),
];

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    // 64 queues for three VFs are 21, 21 and 22.
    let host = Host::prepare(setup, 3)?;
    ZIP0.set_latency(LATENCY)?;
    let other = Host::with(setup, &SEC, 1)?;
    let mut fixture = GuestFixture::new(host, Guest::new(vec![ZIP.kind])?)?;
    fixture.goes_on()?;
    fixture.run(report, &TESTS);
    fixture.end(report);
    ZIP0.report_violations(report, true);
    EmulatedDevice(other.accelerator.id).report_violations(report, true);
    Ok(())
}

/// The VF refuses the guest while that works, for a reason that stands in its `attr`.
fn refuses(fixture: &mut GuestFixture, vf: &Function, reason: &str) -> Result<()> {
    let mut other = fixture.destination_with("other", vf)?;
    let stops = fixture.vmm.told("STOP");
    // Without switchover-ack it would be stopped now.
    monitor::begin(&mut fixture.vmm, &mut other, SLOW)?;
    fixture.has_failed()?;
    expect::equal("stops of the guest", fixture.vmm.told("STOP"), stops)?;
    let refusal = monitor::refusal(vf)?;
    ensure!(
        refusal.contains(reason),
        "attr was to say what does not fit: {refusal}"
    );
    control::show(format!("the VF says: {refusal}"));
    let status = other.ends(WITHIN)?;
    control::show(format!("QEMU says: {}", other.messages()));
    expect::equal("exit status of the destination", status.code(), Some(1))
}

fn other_queues(fixture: &mut GuestFixture) -> Result<()> {
    let vf = fixture.host.vfs[2].clone();
    refuses(fixture, &vf, "queue_count expected 0x16 got 0x15")
}

fn other_engine(fixture: &mut GuestFixture) -> Result<()> {
    let vf = Function::find(crate::host::HUAWEI, SEC.vf)?;
    refuses(fixture, &vf, "device expected 0xa256 got 0xa251")
}

/// An address of a listener that does not answer: the only place in the queue is taken.
struct Deaf {
    address: String,
    _listener: rustix::fd::OwnedFd,
    _first: UnixStream,
}

impl Deaf {
    fn new(path: &str) -> Result<Self> {
        let _ = fs::remove_file(path);
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        bind(&listener, &SocketAddrUnix::new(path)?)?;
        listen(&listener, 0)?;
        Ok(Deaf {
            address: format!("unix:{path}"),
            _listener: listener,
            _first: UnixStream::connect(path)?,
        })
    }
}

fn cancelled_in_setup(fixture: &mut GuestFixture) -> Result<()> {
    let sessions = monitor::sessions(fixture.vf())?;
    let deaf = Deaf::new("/tmp/deaf.migration")?;
    fixture
        .vmm
        .execute("migrate", json!({ "uri": deaf.address }))?;
    fixture.guest.does(WORK, WITHIN)?;
    fixture.in_phase("setup")?;
    fixture.vmm.execute("migrate_cancel", json!({}))?;
    drop(deaf);
    monitor::is_cancelled(&mut fixture.vmm, WITHIN)?;
    expect::equal(
        "sessions of the VF",
        monitor::sessions(fixture.vf())?,
        sessions,
    )
}

fn cancelled_running(fixture: &mut GuestFixture) -> Result<()> {
    let mut other = fixture.destination("cancelled1", 1)?;
    fixture.begins_to_move(&mut other)?;
    fixture.guest.does(WORK, WITHIN)?;
    fixture.in_phase("active")?;
    fixture.cancel()
}

/// The destination of a migration that was cancelled when it may have got everything.
fn does_not_run(mut destination: Vmm) -> Result<()> {
    let status = destination.status().unwrap_or_else(|_| "gone".to_owned());
    control::show(format!("the destination is {status}"));
    ensure!(status != "running", "the guest runs on both sides");
    Ok(())
}

fn cancelled_before_switchover(fixture: &mut GuestFixture) -> Result<()> {
    let mut other = fixture.destination("cancelled2", 1)?;
    fixture
        .vmm
        .set_capabilities(&["pause-before-switchover"], true)?;
    monitor::begin(&mut fixture.vmm, &mut other, Limits::GENEROUS)?;
    fixture.comes_to_phase("pre-switchover")?;
    expect::equal(
        "state of its VF",
        monitor::state(fixture.vf())?.as_str(),
        "STOP_COPY",
    )?;
    fixture.cancel()?;
    fixture
        .vmm
        .set_capabilities(&["pause-before-switchover"], false)?;
    does_not_run(other)
}

fn cancelled_stopped(fixture: &mut GuestFixture) -> Result<()> {
    let mut other = fixture.destination("cancelled3", 1)?;
    monitor::begin(&mut fixture.vmm, &mut other, Limits::GENEROUS)?;
    fixture.comes_to_phase("device")?;
    fixture.cancel()?;
    does_not_run(other)
}

/// The destination dies in a migration, which is not the VF's fault.
fn dies(fixture: &mut GuestFixture, mut destination: Vmm) -> Result<()> {
    destination.kill()?;
    fixture.has_failed()?;
    expect::equal(
        "arcs that failed",
        monitor::failures(fixture.vf())?,
        Vec::new(),
    )
}

fn killed_running(fixture: &mut GuestFixture) -> Result<()> {
    let mut other = fixture.destination("killed1", 1)?;
    fixture.begins_to_move(&mut other)?;
    dies(fixture, other)
}

fn killed_stopped(fixture: &mut GuestFixture) -> Result<()> {
    let mut other = fixture.destination("killed2", 1)?;
    monitor::begin(&mut fixture.vmm, &mut other, Limits::GENEROUS)?;
    fixture.vf_reaches("STOP_COPY")?;
    dies(fixture, other)
}
