// SPDX-License-Identifier: GPL-2.0

//! The network between two hosts fails while a guest migrates: the guest goes on working where it
//! is, one sees why, and it migrates when the network is back. Both hosts run this.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{Report, show};
use linux::sysfs;
use monitor::{Limits, Vmm};
use protocol::{HostName, Setup, Switchover};
use serde_json::json;

use super::local_host::LocalHost;
use super::migrate_under_load::{WITHIN, WORK};
use crate::expect;
use crate::other_host::plug;

/// How often TCP repeats what is not acknowledged.
const RETRIES: &str = "/proc/sys/net/ipv4/tcp_retries2";
/// With these it gives up after half a minute.
const FEW: &str = "6";
/// With these, which are Linux's default, it gives up after a quarter of an hour: later than any of
/// this takes, however slow the machine is.
const MANY: &str = "15";

/// A migration during which the network is cut.
struct Cut {
    name: &'static str,
    limits: Limits,
    /// State of the VF when the network fails.
    state: &'static str,
    /// Checks the result of the migration.
    outcome: fn(&mut LocalHost) -> Result<()>,
}

const CUTS: [Cut; 3] = [
    Cut {
        name: "the network fails while the guest runs",
        limits: Limits::ENDLESS,
        state: "PRE_COPY",
        outcome: times_out_at_work,
    },
    Cut {
        name: "the network fails while the guest stands still",
        limits: Limits::GENEROUS,
        state: "STOP_COPY",
        outcome: times_out,
    },
    Cut {
        name: "the network fails, and it is cancelled",
        limits: Limits::ENDLESS,
        state: "PRE_COPY",
        outcome: is_cancelled,
    },
];

pub(crate) fn run(setup: &Setup, host: HostName, report: &mut Report) -> Result<()> {
    let mut local = LocalHost::prepare(setup, host)?;
    sysfs::write(RETRIES, MANY)?;
    local.boot(report)?;
    let is_first = local.other.is_first();
    for cut in &CUTS {
        local.part(report, cut.name, |local| match is_first {
            true => is_cut_off(local, cut),
            false => waits_in_vain(local),
        })?;
    }
    let name = "the network fails for a while, and the guest migrates all the same";
    local.part(report, name, |local| match is_first {
        true => is_late(local),
        false => local.take(Switchover::AtOnce),
    })?;
    local.part(report, "it comes back", |local| match is_first {
        true => local.take(Switchover::AtOnce),
        false => local.give(2, Switchover::AtOnce),
    })?;
    local.end(report)
}

/// The source's part.
fn is_cut_off(local: &mut LocalHost, cut: &Cut) -> Result<()> {
    local.begin(cut.limits)?;
    local.reach(cut.state)?;
    plug(false)?;
    let outcome = (cut.outcome)(local);
    plug(true)?;
    outcome?;
    goes_on(local)?;
    local.other.say(&"it is over")
}

/// The destination's part: it does not learn that there is no source any more.
fn waits_in_vain(local: &mut LocalHost) -> Result<()> {
    local.wait_for_guest(Limits::GENEROUS)?;
    let _: String = local.other.hear(WITHIN)?;
    let mut vmm = local.leave_vmm()?;
    match vmm.status() {
        Ok(status) => {
            show(format!("the destination is {status}"));
            ensure!(status != "running", "the guest runs on both sides");
            vmm.kill()
        }
        Err(_) => {
            show(format!("the destination has ended: {}", vmm.messages()));
            Ok(())
        }
    }
}

/// The guest works where it was.
fn goes_on(local: &mut LocalHost) -> Result<()> {
    local.vmm()?.reaches("running", WITHIN)?;
    local.guest.does(WORK, WITHIN)?;
    for vf in &local.place.vfs {
        expect::equal("state of its VF", monitor::state(vf)?.as_str(), "RUNNING")?;
        let sessions = monitor::sessions(vf)?;
        show(format!("{vf}: {}", sessions.last().context("no session")?));
    }
    let load = local.guest.load();
    ensure!(load.is_flawless(), "{load:?}");
    Ok(())
}

fn times_out_at_work(local: &mut LocalHost) -> Result<()> {
    comes_to_nothing(local.vmm()?)?;
    local.guest.does(WORK, WITHIN)?;
    times_out(local)
}

/// The migration fails since TCP gives its connection up. QEMU has several sentences for that,
/// which it also has for other failures; the kernel counts this one.
fn times_out(local: &mut LocalHost) -> Result<()> {
    let before = given_up()?;
    // It counts from the next repetition on.
    sysfs::write(RETRIES, FEW)?;
    let failed = monitor::fails(local.vmm()?, WITHIN);
    sysfs::write(RETRIES, MANY)?;
    show(format!("QEMU says: {}", failed?));
    ensure!(given_up()? > before, "no connection has timed out");
    Ok(())
}

/// How many connections of this host TCP has given up, as what was sent was not acknowledged.
fn given_up() -> Result<u64> {
    let text = sysfs::read("/proc/net/netstat")?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().unwrap_or_default().split_whitespace();
    let values = lines.next().unwrap_or_default().split_whitespace();
    let mut pairs = names.zip(values);
    let (_, count) = pairs
        .find(|(name, _)| *name == "TCPAbortOnTimeout")
        .context("the kernel does not count TCPAbortOnTimeout")?;
    Ok(count.parse()?)
}

/// QEMU says `active` all the while, but sends nothing.
fn comes_to_nothing(vmm: &mut Vmm) -> Result<()> {
    let mut sent = 0;
    expect::eventually("nothing more to be sent", WITHIN, || {
        let info = vmm.execute("query-migrate", json!({}))?;
        expect::equal("status", info["status"].as_str(), Some("active"))?;
        let before = sent;
        let transferred = info["ram"]["transferred"].as_u64();
        sent = transferred.context("QEMU does not say what it has sent")?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(before == sent)
    })
}

/// The migration ends by the command, while TCP still tries.
fn is_cancelled(local: &mut LocalHost) -> Result<()> {
    comes_to_nothing(local.vmm()?)?;
    let before = given_up()?;
    let status = monitor::cancel_cut_off(local.vmm()?, WITHIN)?;
    show(format!("the migration has {status}"));
    expect::equal("connections that timed out", given_up()?, before)
}

/// The network is back before TCP gives up.
fn is_late(local: &mut LocalHost) -> Result<()> {
    let begun = local.begin(Limits::ENDLESS)?;
    local.reach("PRE_COPY")?;
    plug(false)?;
    let stalled = comes_to_nothing(local.vmm()?);
    plug(true)?;
    stalled?;
    local.guest.does(WORK, WITHIN)?;
    Limits::GENEROUS.set(local.vmm()?)?;
    local.complete(1, begun, Switchover::AtOnce)
}
