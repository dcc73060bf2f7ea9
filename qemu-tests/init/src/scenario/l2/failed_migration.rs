// SPDX-License-Identifier: GPL-2.0

//! Migrations that a VF or QEMU refuses, that are cancelled, or whose destination dies: the guest
//! goes on working where it is, and can migrate afterwards.

use std::fs;
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail, ensure};
use control::{EmulatedDevice, Report, ZIP0};
use linux::sysfs::Function;
use monitor::{Guest, Limits, NotStarted, Viommu, Vmm};
use protocol::Setup;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use serde_json::json;
use vm::engine::{SEC, ZIP};

use super::fixture::{GuestFixture, Test};
use super::migrate_under_load::{LATENCY, WITHIN, WORK};
use crate::expect;
use crate::host::Host;
use crate::scenario::support::history;

/// All of the guest's memory takes longer than QEMU needs to see that the guest may be stopped.
const SLOW: Limits = Limits {
    bandwidth: 16 << 20,
    ..Limits::GENEROUS
};

const TESTS: [Test; 11] = [
    (
        "a VF with more queues refuses, and the guest never stops",
        other_queues,
    ),
    (
        "a VF of another engine refuses, and the guest never stops",
        other_engine,
    ),
    ("QEMU refuses post-copy", post_copy),
    ("QEMU refuses a background snapshot", background_snapshot),
    ("QEMU refuses VFs behind a virtual IOMMU", viommus),
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

/// QEMU refuses a migration, for which it has no need to ask the VF: nobody has requested a state of
/// it, and the guest was not stopped. `migrate` returns QEMU's reason.
fn qemu_refuses(
    fixture: &mut GuestFixture,
    migrate: impl FnOnce(&mut GuestFixture) -> Result<String>,
) -> Result<()> {
    let vf = fixture.vf().name().to_owned();
    let requests = history::last_number(&vf)?;
    let stops = fixture.vmm.told("STOP");
    let reason = migrate(fixture)?;
    control::show(format!("QEMU says: {reason}"));
    expect::equal("stops of the guest", fixture.vmm.told("STOP"), stops)?;
    expect::equal("requests", history::last_number(&vf)?, requests)
}

fn post_copy(fixture: &mut GuestFixture) -> Result<()> {
    qemu_refuses(fixture, |fixture| {
        let (_, mut other) = fixture.other_place("postcopy")?;
        fixture.vmm.set_capabilities(&["postcopy-ram"], true)?;
        let begun = monitor::begin(&mut fixture.vmm, &mut other, Limits::GENEROUS);
        let reason = has_not_migrated(fixture, begun)?;
        fixture.vmm.set_capabilities(&["postcopy-ram"], false)?;
        Ok(reason)
    })
}

/// Why a migration has failed, be it at once.
fn has_not_migrated(fixture: &mut GuestFixture, begun: Result<()>) -> Result<String> {
    match begun {
        Ok(()) => monitor::fails(&mut fixture.vmm, WITHIN),
        Err(refused) => Ok(refused.root_cause().to_string()),
    }
}

/// It also needs userfaultfd of the host's kernel. QEMU refuses the capability without.
fn background_snapshot(fixture: &mut GuestFixture) -> Result<()> {
    qemu_refuses(fixture, |fixture| {
        // It excludes these.
        let answers = ["return-path", "switchover-ack"];
        fixture.vmm.set_capabilities(&answers, false)?;
        let capability = ["background-snapshot"];
        if let Err(refused) = fixture.vmm.set_capabilities(&capability, true) {
            return Ok(refused.root_cause().to_string());
        }
        let file = json!({ "uri": "file:/tmp/background.state" });
        let begun = fixture.vmm.execute("migrate", file).map(drop);
        let reason = has_not_migrated(fixture, begun)?;
        fixture.vmm.set_capabilities(&capability, false)?;
        Ok(reason)
    })
}

/// Either QEMU does not start, or the guest cannot migrate.
fn viommus(fixture: &mut GuestFixture) -> Result<()> {
    let spare = [fixture.host.vfs[1 - fixture.place].clone()];
    for viommu in [Viommu::Smmuv3, Viommu::Virtio] {
        let (kind, guest) = (fixture.host.kind, &fixture.guest);
        let reason = match Vmm::start_behind("viommu", viommu, kind, &spare, guest) {
            Ok(mut vmm) => {
                let file = json!({ "uri": "file:/tmp/viommu.state" });
                let refused = vmm.execute("migrate", file);
                let state = monitor::state(&spare[0])?;
                expect::equal("state of its VF", state.as_str(), "RUNNING")?;
                vmm.quit()?;
                match refused {
                    Ok(_) => bail!("the guest migrates behind {viommu:?}"),
                    Err(refused) => refused.root_cause().to_string(),
                }
            }
            Err(error) => match error.downcast_ref::<NotStarted>() {
                Some(refused) => refused.to_string(),
                None => return Err(error),
            },
        };
        control::show(format!("{viommu:?}: QEMU says: {reason}"));
    }
    Ok(())
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
