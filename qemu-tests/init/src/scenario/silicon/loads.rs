// SPDX-License-Identifier: GPL-2.0

//! What is done to VFs to find out whether a driver is right for the hardware that they have.

use std::time::Duration;

use anyhow::{Result, bail};
use control::EmulatedDevice;
use linux::timeouts;
use rustix::io::Errno;
use vfio_client::{Device, State};
use vm::qm::messages::{self, Way};
use vm::qm::{IOVA, Vm, registers};

use crate::expect::{equal, eventually, refused};
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::stuck_thread::{Fate, Task};
use crate::scenario::support::transfer::{self, FAST, Path};
use crate::scenario::topology::answer::Answers;

/// Revisions of hardware V4 and V5.
const V4: u64 = 0x50;
const V5: u64 = 0x51;

/// Something that is done to VFs.
pub(super) struct Load {
    pub(super) name: &'static str,
    /// The first revision that it is for.
    since: u64,
    /// It is for hardware with this point; on other hardware nothing migrates after it.
    only: Option<&'static str>,
    pub(super) steps: fn(&mut Fixture) -> Result<()>,
}

impl Load {
    const fn new(name: &'static str, steps: fn(&mut Fixture) -> Result<()>) -> Self {
        Load {
            name,
            since: 0,
            only: None,
            steps,
        }
    }

    const fn since(self, since: u64) -> Self {
        Load { since, ..self }
    }

    const fn only(self, point: &'static str) -> Self {
        Load {
            only: Some(point),
            ..self
        }
    }

    /// Whether it is for hardware of this revision, with these points.
    pub(super) fn applies(&self, revision: u64, points: &[&str]) -> bool {
        revision >= self.since && self.only.is_none_or(|only| points.contains(&only))
    }
}

pub(super) const LOADS: [Load; 16] = [
    Load::new("at-work", at_work),
    Load::new("at-rest", at_rest),
    Load::new("last-event", last_event),
    Load::new("cancelled", cancelled),
    Load::new("paused", paused),
    Load::new("stop-refused", stop_refused),
    Load::new("without-driver", without_driver),
    Load::new("new-owner", new_owner),
    Load::new("paused-after-reset", paused_after_reset),
    Load::new("saved-after-reset", saved_after_reset),
    Load::new("cancelled-after-reset", cancelled_after_reset),
    Load::new("message", message),
    Load::new("message-as-v3", message_as_v3).since(V4),
    Load::new("neighbour", neighbour).since(V4),
    Load::new("stopped-owner", stopped_owner).since(V5),
    Load::new("pf-reset", pf_reset)
        .since(V4)
        .only("pf-reset-keeps-mig-region-sel"),
];

/// Requests that are in flight when a VM is stopped.
const IN_FLIGHT: usize = 32;
/// Requests that show that a VF works.
const WORK: usize = 8;

/// A limit, on this machine.
fn at_most(limit: Duration) -> Duration {
    limit * timeouts::slowness()
}

/// How often a VF has caused an error of the hardware.
pub(super) fn hardware_errors(fixture: &Fixture) -> Result<u64> {
    EmulatedDevice(fixture.host.accelerator.id).counter("hardware_errors")
}
/// What the engine takes for a request that is to be in flight when a VM is stopped. A stop waits a
/// second for it.
const SLOW: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_millis(200);
/// Until a request is seen to be done that will be.
const WITHIN: Duration = Duration::from_secs(4);

fn set_latency(fixture: &Fixture, latency: Duration) -> Result<()> {
    EmulatedDevice(fixture.host.accelerator.id).set_latency(latency)
}

/// The VM's requests are done, right, and seen by their interrupts.
fn finish(fixture: &mut Fixture) -> Result<()> {
    fixture.vm.run_until(0, at_most(WITHIN))?;
    fixture.vm.verify()
}

/// New requests of the VM are done.
fn works(fixture: &mut Fixture) -> Result<()> {
    set_latency(fixture, FAST)?;
    fixture.vm.submit(WORK)?;
    finish(fixture)
}

/// Puts VF1 to work, and waits until all its events are seen.
fn start(fixture: &mut Fixture) -> Result<()> {
    set_latency(fixture, FAST)?;
    fixture.work()?;
    fixture.vm.settle()
}

/// Moves the VM to a VF. `stopped` looks at it between the stop and the start.
fn move_to(
    fixture: &mut Fixture,
    to: usize,
    path: Path,
    stopped: impl FnOnce(&Vm) -> Result<()>,
) -> Result<()> {
    let source = transfer::stop(&mut fixture.vm, path, 4096, |_| Ok(()))?;
    stopped(&fixture.vm)?;
    let device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[to])?;
    let chunks = [MATCH_SIZE, STREAM_SIZE - MATCH_SIZE];
    transfer::load(&mut fixture.vm, device, &source.stream, &chunks)
}

/// A VM with requests in flight moves to the other VF and back.
fn at_work(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    for (to, path) in [(1, Path::PreCopy), (0, Path::Straight)] {
        set_latency(fixture, SLOW)?;
        fixture.vm.submit_at_once(IN_FLIGHT)?;
        move_to(fixture, to, path, |_| Ok(()))?;
        works(fixture)?;
    }
    Ok(())
}

/// A VM with a driver moves when nothing is in flight and all is seen.
fn at_rest(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    move_to(fixture, 1, Path::PreCopy, |_| Ok(()))?;
    works(fixture)
}

/// One request, which will be done while the device is being stopped.
fn submit_last(fixture: &mut Fixture) -> Result<()> {
    set_latency(fixture, LAST)?;
    fixture.vm.submit(1)
}

/// The last request was done before the device had stopped, and the VM has not seen that.
fn is_unseen(vm: &Vm) -> Result<()> {
    equal("requests that were not seen", vm.outstanding(), 1)?;
    equal("requests that were not done", vm.waiting(), 0)
}

/// The last request of a VM is done while it is stopped, and the VM waits for the interrupt. It
/// submits nothing else.
fn last_event(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    submit_last(fixture)?;
    move_to(fixture, 1, Path::Straight, is_unseen)?;
    finish(fixture)?;
    works(fixture)
}

/// As [`last_event`], but the migration is cancelled when the state was saved.
fn cancelled(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    submit_last(fixture)?;
    save(fixture.vm.device()?)?;
    is_unseen(&fixture.vm)?;
    go_on(fixture.vm.device()?)?;
    finish(fixture)?;
    works(fixture)
}

/// As [`last_event`], but the VM is paused and goes on.
fn paused(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    submit_last(fixture)?;
    let device = fixture.vm.device()?;
    device.set_state(State::Stop)?;
    is_unseen(&fixture.vm)?;
    device.set_state(State::Running)?;
    finish(fixture)?;
    works(fixture)
}

fn save(device: &Device) -> Result<Vec<u8>> {
    let file = device.set_state_with_file(State::StopCopy)?;
    file.read_available(4096)
}

/// From STOP_COPY to RUNNING.
fn go_on(device: &Device) -> Result<()> {
    device.set_state(State::Stop)?;
    device.set_state(State::Running)?;
    Ok(())
}

/// A stop fails since a message is being exchanged.
fn stop_refused(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    let id = fixture.host.accelerator.id;
    EmulatedDevice(id).set("fault", "fn1:vf-busy")?;
    let result = fixture.vm.device()?.set_state(State::Stop);
    EmulatedDevice(id).set("fault", "")?;
    refused("RUNNING to STOP", result, Errno::BUSY)?;
    works(fixture)
}

/// A VF without a driver in its VM moves, and the driver is loaded then.
fn without_driver(fixture: &mut Fixture) -> Result<()> {
    set_latency(fixture, FAST)?;
    give(fixture, 0)?;
    move_idle(fixture)?;
    fixture.vm.bring_up()?;
    works(fixture)
}

/// Moves a VM without driver to VF2. What the stream has is for the driver to know.
fn move_idle(fixture: &mut Fixture) -> Result<()> {
    let before = hardware_errors(fixture)?;
    let stream = save(fixture.vm.device()?)?;
    let source = fixture.vm.detach()?;
    let device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    transfer::load(&mut fixture.vm, device, &stream, &[STREAM_SIZE])?;
    drop(source);
    equal("errors of the hardware", hardware_errors(fixture)?, before)
}

/// Opens a VF for the VM.
fn give(fixture: &mut Fixture, vf: usize) -> Result<()> {
    let mut device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[vf])?;
    device.enable()?;
    fixture.vm.attach(device);
    Ok(())
}

/// The VM starts anew on a device that has forgotten all.
fn starts_over(fixture: &mut Fixture) -> Result<()> {
    fixture.vm.start_over()?;
    works(fixture)
}

/// Pauses a VF that has no driver, and lets it go on.
fn pause_idle(fixture: &Fixture) -> Result<()> {
    let before = hardware_errors(fixture)?;
    let device = fixture.vm.device()?;
    device.set_state(State::Stop)?;
    device.set_state(State::Running)?;
    equal("errors of the hardware", hardware_errors(fixture)?, before)
}

/// The owner of a VF that had a driver goes without stopping it; the next one pauses.
fn new_owner(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    fixture.close()?;
    give(fixture, 0)?;
    pause_idle(fixture)?;
    starts_over(fixture)
}

/// Puts VF1 to work and resets it, as when a VM reboots.
fn reset(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    fixture.vm.device()?.reset()?;
    fixture.vm.forget();
    Ok(())
}

fn paused_after_reset(fixture: &mut Fixture) -> Result<()> {
    reset(fixture)?;
    pause_idle(fixture)?;
    starts_over(fixture)
}

/// The state of a VF that was reset is loaded by another.
fn saved_after_reset(fixture: &mut Fixture) -> Result<()> {
    reset(fixture)?;
    move_idle(fixture)?;
    starts_over(fixture)
}

fn cancelled_after_reset(fixture: &mut Fixture) -> Result<()> {
    reset(fixture)?;
    let before = hardware_errors(fixture)?;
    save(fixture.vm.device()?)?;
    go_on(fixture.vm.device()?)?;
    equal("errors of the hardware", hardware_errors(fixture)?, before)?;
    starts_over(fixture)
}

/// `QM_VF_GET_QOS`, and what the PF answers.
const GET_QOS: u64 = 9;
const SET_QOS: u64 = 8;

fn way(fixture: &Fixture) -> Result<Way> {
    Ok(match fixture.host.vfs[0].number("revision")? {
        V4.. => Way::Registers,
        _ => Way::Mailbox,
    })
}

/// A VM that has moved asks the PF, and is interrupted by the answer.
fn message(fixture: &mut Fixture) -> Result<()> {
    let way = way(fixture)?;
    asks(fixture, way)
}

/// As [`message`], by a driver that was loaded on hardware V3.
fn message_as_v3(fixture: &mut Fixture) -> Result<()> {
    asks(fixture, Way::Mailbox)
}

fn asks(fixture: &mut Fixture, way: Way) -> Result<()> {
    start(fixture)?;
    move_to(fixture, 1, Path::Straight, |_| Ok(()))?;
    let bar = fixture.vm.device()?.registers()?;
    messages::send(bar, way, GET_QOS)?;
    let came = eventually("an answer of the PF", WITHIN, || {
        Ok(messages::has_come(bar))
    });
    let interrupts = bar.read32(registers::IFC_INT_STATUS);
    let answer = messages::fetch(bar, way);
    // The PF waits for it.
    messages::acknowledge(bar);
    came?;
    equal("the answer", answer? & 0xffff_ffff, SET_QOS)?;
    equal("IFC_INT_STATUS", interrupts, 1)
}

/// Another VM, with VF2.
fn neighbour_vm(fixture: &Fixture) -> Result<Vm> {
    let mut vm = Vm::with(fixture.host.accelerator.engine, IOVA, 2)?;
    let mut device = vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    device.enable()?;
    vm.attach(device);
    Ok(vm)
}

/// The next VF's registers are left alone by a save.
fn neighbour(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    let neighbour = neighbour_vm(fixture)?;
    let bar = neighbour.device()?.registers()?;
    let masks = || [registers::AEQ_INT_MASK, 0].map(|offset| bar.read32(offset));
    let before = masks();
    save(fixture.vm.device()?)?;
    equal("the next VF's registers", masks(), before)
}

/// The last driver of a VF has told it to drop doorbells (V5), and the next VM comes from
/// elsewhere.
fn stopped_owner(fixture: &mut Fixture) -> Result<()> {
    let mut last = neighbour_vm(fixture)?;
    last.bring_up()?;
    last.shut_down()?;
    let bar = last.device()?.registers()?;
    bar.write32(registers::DOORBELL_DROP, 1);
    drop(last);
    start(fixture)?;
    move_to(fixture, 1, Path::Straight, |_| Ok(()))?;
    works(fixture)
}

/// The PF is reset; then a VM moves.
fn pf_reset(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    let way = way(fixture)?;
    let neighbour = neighbour_vm(fixture)?;
    let answers = (
        Answers::by(way, fixture.vm.device()?)?,
        Answers::by(way, neighbour.device()?)?,
    );
    let pf = fixture.host.pf.clone();
    let task = Task::start(move || pf.reset())?;
    let fate = task.wait(at_most(Duration::from_secs(100)), |_| false);
    drop(answers);
    drop(neighbour);
    match fate {
        Fate::Done(result) => result?,
        _ => bail!("the reset of the PF does not end"),
    }
    fixture.close()?;
    at_work(fixture)
}
