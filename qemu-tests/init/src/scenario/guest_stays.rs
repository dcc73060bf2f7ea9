// SPDX-License-Identifier: GPL-2.0

//! Migrations that are refused, cancelled, or whose destination dies: the guest goes on working
//! where it is, and can migrate afterwards.

use std::fs;
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use serde_json::json;

use super::guest_at_work::{LATENCY, WITHIN, WORK};
use super::guest_stage::{Stage, Test};
use crate::Options;
use crate::control::{self, Report};
use crate::engine::{SEC, ZIP};
use crate::expect;
use crate::host::Host;
use crate::sysfs::Function;
use crate::vmm::{self, Guest, Limits, Vmm};

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

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    // 64 queues for three VFs are 21, 21 and 22.
    let host = Host::prepare(options, 3)?;
    control::set_latency(LATENCY)?;
    let other = Host::with(options, &SEC, 1)?;
    let mut stage = Stage::new(host, Guest::new(&[&ZIP])?)?;
    stage.goes_on()?;
    stage.run(report, &TESTS);
    stage.end(report);
    control::report_violations(report, true);
    control::report_violations_of(other.accelerator.id, report, true);
    Ok(())
}

/// The VF refuses the guest while that works, for a reason that stands in its `attr`.
fn refuses(stage: &mut Stage, vf: &Function, reason: &str) -> Result<()> {
    let mut other = stage.destination_with("other", vf)?;
    let stops = stage.vmm.told("STOP");
    // Without switchover-ack it would be stopped now.
    vmm::begin(&mut stage.vmm, &mut other, SLOW)?;
    stage.has_failed()?;
    expect::equal("stops of the guest", stage.vmm.told("STOP"), stops)?;
    let refusal = vmm::refusal(vf)?;
    ensure!(
        refusal.contains(reason),
        "attr was to say what does not fit: {refusal}"
    );
    control::line(&format!("@show the VF says: {refusal}"));
    let status = other.ends(WITHIN)?;
    control::line(&format!("@show QEMU says: {}", other.messages()));
    expect::equal("exit status of the destination", status.code(), Some(1))
}

fn other_queues(stage: &mut Stage) -> Result<()> {
    let vf = stage.host.vfs[2].clone();
    refuses(stage, &vf, "queue_count expected 0x16 got 0x15")
}

fn other_engine(stage: &mut Stage) -> Result<()> {
    let vf = Function::find(crate::host::HUAWEI, SEC.vf)?;
    refuses(stage, &vf, "device expected 0xa256 got 0xa251")
}

/// An address where somebody listens and nobody answers: the only place in the queue is taken.
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

fn cancelled_in_setup(stage: &mut Stage) -> Result<()> {
    let sessions = vmm::sessions(stage.vf())?;
    let deaf = Deaf::new("/tmp/deaf.migration")?;
    stage
        .vmm
        .execute("migrate", json!({ "uri": deaf.address }))?;
    stage.guest.does(WORK, WITHIN)?;
    stage.in_phase("setup")?;
    stage.vmm.execute("migrate_cancel", json!({}))?;
    drop(deaf);
    vmm::is_cancelled(&mut stage.vmm, WITHIN)?;
    expect::equal("sessions of the VF", vmm::sessions(stage.vf())?, sessions)
}

fn cancelled_running(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("cancelled1", 1)?;
    stage.begins_to_move(&mut other)?;
    stage.guest.does(WORK, WITHIN)?;
    stage.in_phase("active")?;
    stage.cancel()
}

/// The destination of a migration that was cancelled when it may have got everything.
fn does_not_run(mut destination: Vmm) -> Result<()> {
    let status = destination.status().unwrap_or_else(|_| "gone".to_owned());
    control::line(&format!("@show the destination is {status}"));
    ensure!(status != "running", "the guest runs on both sides");
    Ok(())
}

fn cancelled_before_switchover(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("cancelled2", 1)?;
    stage
        .vmm
        .set_capabilities(&["pause-before-switchover"], true)?;
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.comes_to_phase("pre-switchover")?;
    expect::equal(
        "state of its VF",
        vmm::state(stage.vf())?.as_str(),
        "STOP_COPY",
    )?;
    stage.cancel()?;
    stage
        .vmm
        .set_capabilities(&["pause-before-switchover"], false)?;
    does_not_run(other)
}

fn cancelled_stopped(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("cancelled3", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.comes_to_phase("device")?;
    stage.cancel()?;
    does_not_run(other)
}

/// The destination dies in a migration, which is not the VF's fault.
fn dies(stage: &mut Stage, mut destination: Vmm) -> Result<()> {
    destination.kill()?;
    stage.has_failed()?;
    expect::equal("arcs that failed", vmm::failures(stage.vf())?, Vec::new())
}

fn killed_running(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("killed1", 1)?;
    stage.begins_to_move(&mut other)?;
    dies(stage, other)
}

fn killed_stopped(stage: &mut Stage) -> Result<()> {
    let mut other = stage.destination("killed2", 1)?;
    vmm::begin(&mut stage.vmm, &mut other, Limits::GENEROUS)?;
    stage.vf_reaches("STOP_COPY")?;
    dies(stage, other)
}
