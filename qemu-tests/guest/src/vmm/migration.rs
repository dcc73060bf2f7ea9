// SPDX-License-Identifier: GPL-2.0

//! QEMU's live migration, by QMP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Vmm;

/// How long the guest may stand still, in milliseconds, by QEMU's own guess. With the usual 300 a
/// migration never ends: nothing tells which pages a device has written, so all of them are left.
const DOWNTIME_LIMIT: u64 = 600_000;
/// Bytes a second; QEMU's usual limit is lower than what a socket takes.
const BANDWIDTH: u64 = 1 << 40;
const POLL: Duration = Duration::from_millis(20);

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

/// Sets up what both sides need before the guest moves.
fn prepare(vmm: &mut Vmm) -> Result<()> {
    let parameters = json!({ "downtime-limit": DOWNTIME_LIMIT, "max-bandwidth": BANDWIDTH });
    vmm.execute("migrate-set-parameters", parameters).map(drop)
}

/// Moves the guest. Returns when it runs at the destination; the source has it still, stopped.
pub(crate) fn migrate(
    source: &mut Vmm,
    destination: &mut Vmm,
    within: Duration,
) -> Result<Figures> {
    let address = json!({ "uri": format!("unix:/tmp/{}.migration", destination.name) });
    prepare(source)?;
    prepare(destination)?;
    destination.execute("migrate-incoming", address.clone())?;
    source.execute("migrate", address)?;
    let deadline = Instant::now() + within;
    let info = loop {
        let info = source.execute("query-migrate", json!({}))?;
        match info["status"].as_str() {
            Some("completed") => break info,
            Some("failed" | "cancelled") => bail!("the migration has ended: {info}"),
            _ if Instant::now() > deadline => bail!("not over in {within:?}: {info}"),
            _ => std::thread::sleep(POLL),
        }
    };
    while destination.status()? != "running" {
        if Instant::now() > deadline {
            bail!("the guest does not go on: {}", destination.status()?);
        }
        std::thread::sleep(POLL);
    }
    Figures::parse(&info)
}
