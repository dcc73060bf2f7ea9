// SPDX-License-Identifier: GPL-2.0

//! QEMU's live migration, by QMP.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use linux::timeouts::{Deadline, eventually};
use protocol::{MigrationRecord, Switchover};
use serde_json::{Value, json};

use super::Vmm;
use super::pages::PageComparison;
use super::port::POLL;

/// QEMU's figures of a migration that is over (`MigrationInfo` of its schema).
pub struct Figures {
    /// Milliseconds that the guest stood still.
    downtime: u64,
    /// Milliseconds in all.
    total: u64,
    /// Bytes sent.
    transferred: u64,
    /// Bytes of them that were the VFIO devices' state.
    device_state: u64,
    /// Bytes of the guest's memory that were sent while it stood still.
    downtime_bytes: u64,
    /// How often QEMU has looked for dirty pages.
    passes: u64,
}

impl Figures {
    fn parse(info: &Value) -> Result<Self> {
        let number = |value: &Value, key: &str| {
            let number = value[key].as_u64();
            number.with_context(|| format!("QEMU gives no {key}: {info}"))
        };
        Ok(Figures {
            downtime: number(info, "downtime")?,
            total: number(info, "total-time")?,
            transferred: number(&info["ram"], "transferred")?,
            device_state: number(&info["vfio"], "transferred")?,
            downtime_bytes: number(&info["ram"], "downtime-bytes")?,
            passes: number(&info["ram"], "dirty-sync-count")?,
        })
    }

    /// As the figures of that leg, in which the guest did so many requests, and after which the
    /// pages that its VFs had written were compared.
    pub fn leg(
        &self,
        number: u32,
        from: String,
        to: String,
        requests: u64,
        pages: PageComparison,
    ) -> MigrationRecord {
        MigrationRecord {
            number,
            from,
            to,
            downtime: self.downtime,
            total: self.total,
            transferred: self.transferred,
            device_state: self.device_state,
            downtime_bytes: self.downtime_bytes,
            passes: self.passes,
            requests,
            pages_compared: pages.compared,
            pages_differing: pages.differing,
        }
    }
}

/// How much of the network and of the guest's patience a migration may take.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Milliseconds that the guest may stand still, by QEMU's own guess before it stops the guest.
    pub downtime: u64,
    /// Bytes a second.
    pub bandwidth: u64,
}

impl Limits {
    /// QEMU's own.
    pub const DEFAULT: Self = Limits {
        downtime: 300,
        bandwidth: 128 << 20,
    };

    /// With QEMU's usual 300 ms a migration never ends unless the IOMMU tells which pages a device
    /// has written: all of them are left each time QEMU looks. And a socket takes more than QEMU
    /// usually sends.
    pub const GENEROUS: Self = Limits {
        downtime: 600_000,
        bandwidth: 1 << 40,
    };

    /// The guest never seems to be able to stop for so short a time, so it is not stopped.
    pub const ENDLESS: Self = Limits {
        downtime: 1,
        bandwidth: 4 << 20,
    };

    /// The guest seems not to be able to stop for so short a time, but all of its memory is sent.
    const UNHURRIED: Self = Limits {
        downtime: 1,
        bandwidth: 64 << 20,
    };

    /// Those with which a migration begins that has this switchover.
    pub fn to_begin(switchover: Switchover) -> Self {
        match switchover {
            Switchover::AtOnce => Limits::GENEROUS,
            Switchover::AllSent => Limits::UNHURRIED,
            Switchover::Default => Limits::DEFAULT,
        }
    }

    /// Sets them, also while a migration is under way.
    pub fn set(self, vmm: &mut Vmm) -> Result<()> {
        let parameters =
            json!({ "downtime-limit": self.downtime, "max-bandwidth": self.bandwidth });
        vmm.execute("migrate-set-parameters", parameters).map(drop)
    }

    fn prepare(self, vmm: &mut Vmm) -> Result<()> {
        self.set(vmm)?;
        set_answers(vmm, true)
    }
}

/// Says whether the destination answers, which a file does not.
fn set_answers(vmm: &mut Vmm, answers: bool) -> Result<()> {
    vmm.set_capabilities(&["events"], true)?;
    // The source stops the guest only when the destination has taken what VFs send beforehand,
    // by which a VF that does not fit is found out.
    vmm.set_capabilities(&["return-path", "switchover-ack"], answers)
}

/// How a migration ended, as the source reports it.
pub enum Ended {
    /// All of the guest is sent.
    Completed(Figures),
    /// QEMU's reason, if it gives one.
    Failed(String),
    /// It was told to cancel.
    Cancelled,
}

/// Begins to move the guest to another monitor of this host.
pub fn begin(source: &mut Vmm, destination: &mut Vmm, limits: Limits) -> Result<()> {
    let uri = format!("unix:/tmp/{}.migration", destination.name);
    listen(destination, &uri, limits)?;
    send(source, &uri, limits)
}

/// Lets a monitor wait for a guest there.
pub fn listen(destination: &mut Vmm, uri: &str, limits: Limits) -> Result<()> {
    limits.prepare(destination)?;
    let address = json!({ "uri": uri });
    destination.execute("migrate-incoming", address).map(drop)
}

/// Stops the guest if QEMU would lose what its VFs write.
///
/// If neither the VFs' drivers nor the IOMMU report dirty pages, QEMU takes all pages that a VF can
/// write to for dirty with type1, each time it looks, but none with iommufd: what a VF writes to a
/// page that was sent is not at the destination.
fn stop_what_is_not_tracked(source: &mut Vmm) -> Result<()> {
    if source.must_stop {
        source.execute("stop", json!({}))?;
    }
    Ok(())
}

/// Begins to move the guest to the monitor that waits for it there. It is stopped if it must be.
pub fn send(source: &mut Vmm, uri: &str, limits: Limits) -> Result<()> {
    limits.prepare(source)?;
    stop_what_is_not_tracked(source)?;
    source.execute("migrate", json!({ "uri": uri })).map(drop)
}

/// Saves the guest to a file. Returns when the guest is stopped and all of it is in the file.
pub fn save(source: &mut Vmm, file: &str, within: Duration) -> Result<Figures> {
    set_answers(source, false)?;
    Limits::GENEROUS.set(source)?;
    stop_what_is_not_tracked(source)?;
    source.execute("migrate", json!({ "uri": format!("file:{file}") }))?;
    completes(source, within)
}

/// Restores the guest from a file.
pub fn restore(destination: &mut Vmm, file: &str, within: Duration) -> Result<()> {
    set_answers(destination, false)?;
    destination.execute("migrate-incoming", json!({ "uri": format!("file:{file}") }))?;
    go_on(destination, within)
}

/// Waits for the end of a migration.
pub fn end(source: &mut Vmm, within: Duration) -> Result<Ended> {
    let deadline = Deadline::after(within);
    loop {
        let info = source.execute("query-migrate", json!({}))?;
        match info["status"].as_str() {
            Some("completed") => return Figures::parse(&info).map(Ended::Completed),
            Some("failed") => {
                let reason = info["error-desc"].as_str().unwrap_or("no reason given");
                return Ok(Ended::Failed(reason.to_owned()));
            }
            Some("cancelled") => return Ok(Ended::Cancelled),
            _ if deadline.is_over() => bail!("not over in {:?}: {info}", deadline.limit),
            _ => std::thread::sleep(POLL),
        }
    }
}

/// Waits until all of the guest is sent. The source has it still, stopped.
pub fn completes(source: &mut Vmm, within: Duration) -> Result<Figures> {
    match end(source, within)? {
        Ended::Completed(figures) => Ok(figures),
        Ended::Failed(reason) => bail!("the migration failed: {reason}"),
        Ended::Cancelled => bail!("the migration was cancelled"),
    }
}

/// Waits until a migration fails, and gives QEMU's reason.
pub fn fails(source: &mut Vmm, within: Duration) -> Result<String> {
    match end(source, within)? {
        Ended::Failed(reason) => Ok(reason),
        Ended::Completed(_) => bail!("the guest has migrated"),
        Ended::Cancelled => bail!("it counts as cancelled"),
    }
}

/// Cancels a migration that is under way.
pub fn cancel(source: &mut Vmm, within: Duration) -> Result<()> {
    source.execute("migrate_cancel", json!({}))?;
    is_cancelled(source, within)
}

/// Cancels a migration whose connection is dead; the status that it ends in, by QEMU's name for it.
///
/// QEMU shuts the connection before it notes down that it was told to cancel (`migration_cancel()`
/// of its `migration/migration.c`). Its thread that waits for the connection can be in between, and
/// then the migration counts as failed.
pub fn cancel_cut_off(source: &mut Vmm, within: Duration) -> Result<&'static str> {
    source.execute("migrate_cancel", json!({}))?;
    match end(source, within)? {
        Ended::Cancelled => Ok("cancelled"),
        Ended::Failed(_) => Ok("failed"),
        Ended::Completed(_) => bail!("the guest has migrated"),
    }
}

/// Waits until a migration is cancelled, after it was ordered.
pub fn is_cancelled(source: &mut Vmm, within: Duration) -> Result<()> {
    match end(source, within)? {
        Ended::Cancelled => Ok(()),
        Ended::Completed(_) => bail!("the guest has migrated"),
        Ended::Failed(reason) => bail!("it has failed: {reason}"),
    }
}

/// Lets the guest go on at its destination. Only when all is sent is it certain that the source
/// will not let it go on as well.
pub fn go_on(destination: &mut Vmm, within: Duration) -> Result<()> {
    destination.reaches("paused", within)?;
    destination.execute("cont", json!({}))?;
    destination.reaches("running", within)
}

/// Moves the guest. Returns when it runs at the destination; the source has it still, stopped.
pub fn migrate(source: &mut Vmm, destination: &mut Vmm, within: Duration) -> Result<Figures> {
    migrate_by(source, destination, Switchover::AtOnce, within)
}

/// As [`migrate`], with a choice of when the guest is stopped.
pub fn migrate_by(
    source: &mut Vmm,
    destination: &mut Vmm,
    switchover: Switchover,
    within: Duration,
) -> Result<Figures> {
    begin(source, destination, Limits::to_begin(switchover))?;
    let figures = completes_by(source, switchover, within)?;
    go_on(destination, within)?;
    Ok(figures)
}

/// As [`completes`], of a migration that has begun with the limits of the switchover. With
/// [`Switchover::AllSent`] the guest is stopped only when all of its memory was sent: what is
/// written after that must be sent again.
pub fn completes_by(source: &mut Vmm, switchover: Switchover, within: Duration) -> Result<Figures> {
    if switchover == Switchover::AllSent {
        eventually("a second pass over the memory", within, || {
            let info = source.execute("query-migrate", json!({}))?;
            let passes = info["ram"]["dirty-sync-count"].as_u64();
            // A guest that is stopped already has nothing to be sent again.
            Ok(passes >= Some(3) || info["status"] != "active" && info["status"] != "setup")
        })?;
        Limits::GENEROUS.set(source)?;
    }
    completes(source, within)
}
