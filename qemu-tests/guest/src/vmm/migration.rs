// SPDX-License-Identifier: GPL-2.0

//! QEMU's live migration, by QMP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{POLL, Vmm};

/// What QEMU says of a migration when it is over (`MigrationInfo` of its schema).
pub(crate) struct Figures {
    /// Milliseconds that the guest stood still.
    pub(crate) downtime: u64,
    /// Milliseconds in all.
    pub(crate) total: u64,
    /// Bytes sent.
    pub(crate) transferred: u64,
    /// Bytes of them that were the VFIO devices' state.
    pub(crate) device_state: u64,
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
        })
    }
}

/// How much of the network and of the guest's patience a migration may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Milliseconds that the guest may stand still, by QEMU's own guess before it stops the guest.
    pub(crate) downtime: u64,
    /// Bytes a second.
    pub(crate) bandwidth: u64,
}

impl Limits {
    /// With QEMU's usual 300 ms a migration never ends: nothing tells which pages a device has
    /// written, so all of them are left each time QEMU looks. And a socket takes more than QEMU
    /// usually sends.
    pub(crate) const GENEROUS: Self = Limits {
        downtime: 600_000,
        bandwidth: 1 << 40,
    };

    fn set(self, vmm: &mut Vmm) -> Result<()> {
        let parameters =
            json!({ "downtime-limit": self.downtime, "max-bandwidth": self.bandwidth });
        vmm.execute("migrate-set-parameters", parameters)?;
        // The source stops the guest only when the destination has taken what VFs send beforehand,
        // by which a VF that does not fit is found out.
        let capabilities: Vec<Value> = ["events", "return-path", "switchover-ack"]
            .iter()
            .map(|name| json!({ "capability": name, "state": true }))
            .collect();
        let capabilities = json!({ "capabilities": capabilities });
        vmm.execute("migrate-set-capabilities", capabilities)
            .map(drop)
    }
}

/// How a migration ended, as the source tells it.
pub(crate) enum Ended {
    Completed(Figures),
    /// QEMU's reason, if it gives one.
    Failed(String),
    Cancelled,
}

/// Begins to move the guest.
pub(crate) fn begin(source: &mut Vmm, destination: &mut Vmm, limits: Limits) -> Result<()> {
    let address = json!({ "uri": format!("unix:/tmp/{}.migration", destination.name) });
    limits.set(source)?;
    limits.set(destination)?;
    destination.execute("migrate-incoming", address.clone())?;
    source.execute("migrate", address).map(drop)
}

/// Waits for the end of a migration.
pub(crate) fn end(source: &mut Vmm, within: Duration) -> Result<Ended> {
    let deadline = Instant::now() + within;
    loop {
        let info = source.execute("query-migrate", json!({}))?;
        match info["status"].as_str() {
            Some("completed") => return Figures::parse(&info).map(Ended::Completed),
            Some("failed") => {
                let reason = info["error-desc"].as_str().unwrap_or("no reason given");
                return Ok(Ended::Failed(reason.to_owned()));
            }
            Some("cancelled") => return Ok(Ended::Cancelled),
            _ if Instant::now() > deadline => bail!("not over in {within:?}: {info}"),
            _ => std::thread::sleep(POLL),
        }
    }
}

/// Moves the guest. Returns when it runs at the destination; the source has it still, stopped.
pub(crate) fn migrate(
    source: &mut Vmm,
    destination: &mut Vmm,
    within: Duration,
) -> Result<Figures> {
    begin(source, destination, Limits::GENEROUS)?;
    let figures = match end(source, within)? {
        Ended::Completed(figures) => figures,
        Ended::Failed(reason) => bail!("the migration failed: {reason}"),
        Ended::Cancelled => bail!("the migration was cancelled"),
    };
    // Only now is it certain that the source will not let its guest go on.
    destination.reaches("paused", within)?;
    destination.execute("cont", json!({}))?;
    destination.reaches("running", within)?;
    Ok(figures)
}
