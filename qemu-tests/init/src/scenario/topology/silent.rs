// SPDX-License-Identifier: GPL-2.0

//! VFs that do not answer the PF. Each of the PF's waits for one takes some 20 s: the usual case on
//! a host with VFs that have no user, or whose guests are paused.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{Device, State};
use vm::engine::ZIP;
use vm::qm::registers::{self, Command};

use super::failure::done;
use crate::expect::{equal, errno};
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::stuck_thread::Task;

/// Longer than a reset of the PF with a silent VF takes, which are four waits of 21 s.
const PATIENCE: Duration = Duration::from_secs(300);
/// For the PF to begin with what it was ordered to do.
const HEAD_START: Duration = Duration::from_secs(2);

/// `QM_VF_GET_QOS` of hisi_qm, which the PF answers by a message to the VF.
const GET_QOS: u64 = 9;

/// A VF is reset while the PF is, which waits for VFs that do not answer. The VF's reset must wait
/// for the end of the PF's.
pub(super) fn reset_during_pf_reset(setup: &Setup, report: &mut Report) -> Result<()> {
    let fixture = Fixture::new(setup, 2)?;
    report.point(
        "a VF's reset waits for that of a PF with silent VFs",
        || {
            let mut device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
            device.enable()?;
            let pf = fixture.host.pf.clone();
            let begin = Instant::now();
            let pf_reset = Task::start(move || pf.reset().map(|()| Instant::now()))?;
            std::thread::sleep(HEAD_START);
            let vf_reset = Task::start(move || device.reset().map(|()| Instant::now()))?;
            let pf_end =
                done("the PF's reset", PATIENCE, &pf_reset)?.context("resetting the PF")?;
            let vf_end =
                done("the VF's reset", PATIENCE, &vf_reset)?.context("resetting the VF")?;
            let seconds = |end: Instant| (end - begin).as_secs_f32();
            let (pf_took, vf_took) = (seconds(pf_end), seconds(vf_end));
            control::show(format!(
                "  the PF's reset ended after {pf_took:.1} s, the VF's after {vf_took:.1} s"
            ));
            ensure!(
                vf_end > pf_end,
                "the VF was reset {:.1} s before the PF's reset ended",
                pf_took - vf_took
            );
            Ok(())
        },
    );
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}

/// A VM's driver sends the PF a message that is answered by another one.
fn sends_a_question(device: &Device) -> Result<()> {
    let registers = device.registers()?;
    registers::mailbox_write(registers, Command::MessageSend, 0, GET_QOS)?;
    registers.write32(registers::IFC_INT_SET, 1);
    Ok(())
}

/// The PF waits for an answer of one VF, and does not take the message of another one meanwhile.
/// The migration of that one must wait, or be refused while its VM still runs.
pub(super) fn message_not_taken(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 2)?;
    report.point(
        "a VM whose message the PF does not take yet keeps its VF",
        || {
            fixture.work()?;
            let other = ZIP.vm(2)?;
            let mut silent = other.open(fixture.host.kind, &fixture.host.vfs[1])?;
            silent.enable()?;
            // Lets the PF's answer through, which is not acknowledged.
            silent.registers()?.write32(registers::IFC_INT_MASK, 0);
            sends_a_question(&silent)?;
            std::thread::sleep(Duration::from_secs(1));
            let device = fixture.vm.device()?;
            sends_a_question(device)?;
            let begin = Instant::now();
            match device.set_state(State::PreCopy) {
                Err(error) => equal("error of PRE_COPY", errno(&error), Some(Errno::BUSY))?,
                Ok(_file) => {
                    let stopped = device.set_state(State::StopCopy);
                    stopped.context("STOP_COPY, when the VM does not run any more")?;
                    device.set_state(State::Running)?;
                }
            }
            let took = begin.elapsed().as_secs_f32();
            control::show(format!("  answered after {took:.2} s"));
            equal("state", device.state()?, State::Running)?;
            fixture.vm.work(8)
        },
    );
    ZIP0.report_violations(report, fixture.host.driver.is_rust());
    Ok(())
}
