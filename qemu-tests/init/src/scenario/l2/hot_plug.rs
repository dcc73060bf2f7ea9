// SPDX-License-Identifier: GPL-2.0

//! A guest's part of the hot-plug of PCI Express: what Linux's pciehp does, which this kernel lacks.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use linux::sysfs::{self, Function};

const DEVICES: &str = "/sys/bus/pci/devices";
/// Where the list of capabilities begins (`PCI_CAPABILITY_LIST`).
const FIRST_CAPABILITY: usize = 0x34;
/// `PCI_CAP_ID_EXP`.
const PCI_EXPRESS: u8 = 0x10;
/// `PCI_EXP_SLTCTL`.
const SLOT_CONTROL: usize = 0x18;
/// The power indicator (`PCI_EXP_SLTCTL_PIC`), when it is on.
const INDICATOR_ON: u16 = 0x0100;
/// The same when it is off.
const INDICATOR_OFF: u16 = 0x0300;
/// The power controller (`PCI_EXP_SLTCTL_PCC`), when the slot has no power.
const POWER_OFF: u16 = 0x0400;
const PCI_BRIDGE: &str = "0x060400";
/// Longer than pciehp waits for a device that gets power.
const SETTLES: Duration = Duration::from_secs(1);

/// The place of the PCI Express capability in a function's configuration space.
fn express(config: &[u8]) -> Option<usize> {
    let byte = |at: usize| config.get(at).copied();
    let mut at = usize::from(byte(FIRST_CAPABILITY)?);
    // No list is longer than the space that it is in.
    for _ in 0..config.len() {
        match (at, byte(at)?) {
            (0, _) => return None,
            (_, PCI_EXPRESS) => return Some(at),
            _ => at = usize::from(byte(at + 1)?),
        }
    }
    None
}

/// Gives a port's slot power, or takes it away.
fn power(port: &Path, on: bool) -> Result<()> {
    let path = port.join("config");
    let file = fs::File::options().read(true).write(true).open(&path)?;
    let config = fs::read(&path)?;
    let at = express(&config).with_context(|| format!("{} is no port", port.display()))?;
    let at = at + SLOT_CONTROL;
    let mut word = [0; 2];
    file.read_exact_at(&mut word, at as u64)?;
    let others = u16::from_le_bytes(word) & !(INDICATOR_OFF | POWER_OFF);
    let control = others
        | if on {
            INDICATOR_ON
        } else {
            INDICATOR_OFF | POWER_OFF
        };
    Ok(file.write_all_at(&control.to_le_bytes(), at as u64)?)
}

/// Removes a VF that the monitor wants back, and turns its slot off.
pub(super) fn unplug(vf: &Function) -> Result<()> {
    let folder = fs::canonicalize(vf.path(""))?;
    let port = folder.parent().context("it is behind no port")?;
    sysfs::write(folder.join("remove"), "1")?;
    power(port, false)
}

/// Turns all slots on, and looks for what is in them.
pub(super) fn plug() -> Result<()> {
    let mut ports: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(DEVICES)? {
        let path = entry?.path();
        if sysfs::read(path.join("class"))?.trim() == PCI_BRIDGE {
            ports.push(path);
        }
    }
    ensure!(!ports.is_empty(), "there is no slot");
    ports.iter().try_for_each(|port| power(port, true))?;
    std::thread::sleep(SETTLES);
    sysfs::write("/sys/bus/pci/rescan", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_is_found_in_the_list() {
        let mut config = [0; 256];
        assert_eq!(express(&config), None);
        config[FIRST_CAPABILITY] = 0x40;
        (config[0x40], config[0x41]) = (0x05, 0x54);
        (config[0x54], config[0x55]) = (PCI_EXPRESS, 0);
        assert_eq!(express(&config), Some(0x54));
        // A list without an end.
        (config[0x54], config[0x55]) = (0x01, 0x40);
        assert_eq!(express(&config), None);
    }
}
