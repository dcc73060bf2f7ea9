// SPDX-License-Identifier: GPL-2.0

//! Memory that can no longer be freed, as found by the kernel's kmemleak.
//!
//! It records every allocation and is slow, so that only machines with `kmemleak=on` on their
//! command line have it. The kernel reads that word itself.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::Report;
use protocol::{Kmemleak, Setup};

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// Younger allocations are not reported: their pointer can still be in a register.
const MIN_AGE: Duration = Duration::from_secs(5);

/// Modules whose allocations are checked: VFIO's with ours, as an object of the core that we should
/// have put is not allocated by us.
const CHECKED: [&str; 2] = ["[vfio", "[hisi_acc_vfio_pci"];

/// Reports whether everything that was allocated can still be freed, if the machine has kmemleak
/// on.
pub(crate) fn check(setup: &Setup, report: &mut Report) {
    if setup.kmemleak == Some(Kmemleak::On) {
        report.point("nothing that VFIO has allocated is lost", || {
            let found = scan()?;
            let lost = checked(&found);
            ensure!(lost.is_empty(), "{}", lost.join("\n"));
            Ok(())
        });
    }
}

/// Those of kmemleak's reports that are of checked modules.
fn checked(found: &str) -> Vec<&str> {
    let is_checked = |report: &&str| CHECKED.iter().any(|module| report.contains(module));
    found
        .split("unreferenced object")
        .filter(is_checked)
        .collect()
}

/// The reports of all that has no pointer to it.
fn scan() -> Result<String> {
    thread::sleep(MIN_AGE);
    // Changes since the last scan are not reported; after the second one nothing changes.
    for _ in 0..2 {
        fs::write(KMEMLEAK, "scan").with_context(|| format!("{KMEMLEAK} does not scan"))?;
    }
    fs::read_to_string(KMEMLEAK).with_context(|| format!("cannot read {KMEMLEAK}"))
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn only_reports_with_a_checked_module_are_faults() {
        let found = "unreferenced object 0xffff000006f37100 (size 128):\n\
                     \x20 comm \"guest\", pid 1, jiffies 4294937396\n\
                     \x20 backtrace (crc 5b3fb1c2):\n\
                     \x20   __kmalloc_noprof+0x3a4/0x4c8\n\
                     \x20   really_probe+0x188/0x580\n\
                     unreferenced object 0xffff000006f37200 (size 1048):\n\
                     \x20 backtrace (crc 0):\n\
                     \x20   anon_inode_getfile+0x50/0x120\n\
                     \x20   _RNvXs_NtCs_9migration+0x54/0x1f0 [hisi_acc_vfio_pci_rs]\n";
        assert_eq!(checked(found).len(), 1);
        assert!(checked(found)[0].starts_with(" 0xffff000006f37200"));
        assert!(checked("").is_empty());
    }
}
