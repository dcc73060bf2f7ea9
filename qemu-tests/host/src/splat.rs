// SPDX-License-Identifier: GPL-2.0
//! Finds what must not be in a kernel log.

use crate::race;

/// Texts that the kernel prints when something is wrong with it.
const SPLATS: &[&str] = &[
    "WARNING:",
    "BUG:",
    "BUG at",
    "Oops",
    "Kernel panic",
    "Call trace:",
    "KASAN:",
    "UBSAN:",
    "KCSAN:",
    "kmemleak:",
    "Unable to handle kernel",
    "possible circular locking",
    "possible recursive locking",
    "inconsistent lock state",
    "suspicious RCU usage",
    "sleeping function called",
    "blocked for more than",
    "soft lockup",
    "rcu_preempt detected stalls",
    "rcu_sched detected stalls",
    "refcount_t:",
    "list_add corruption",
    "list_del corruption",
    "DMA-API:",
    "ODEBUG:",
    "Unbalanced",
];

/// Lines that hold such a text and are no fault: the kernel says so of itself at boot.
const HARMLESS: &[&str] = &[
    "kmemleak: Kernel memory leak detector initialized",
    "kmemleak: Automatic memory scanning thread",
    "kmemleak: Kernel memory leak detector disabled",
    "DMA-API: preallocated",
    "DMA-API: debugging enabled",
];

/// The lines of a kernel log that speak of a fault, each with its number from 1.
pub fn find(log: &str) -> Vec<(usize, &str)> {
    let races = race::find(log);
    let is_known_race = |line: &usize| {
        let mut known = races.iter().filter(|race| race.is_known());
        known.any(|race| race.lines.contains(line))
    };
    log.lines()
        .enumerate()
        .filter(|(n, _)| !is_known_race(n))
        .filter(|(_, line)| SPLATS.iter().any(|s| line.contains(s)))
        .filter(|(_, line)| !HARMLESS.iter().any(|h| line.contains(h)))
        .map(|(n, line)| (n + 1, line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn sees_a_warning_and_passes_over_the_boot() {
        let log = "[ 0.0] kmemleak: Automatic memory scanning thread started\n\
                   [ 0.1] DMA-API: preallocated 65536 debug entries\n\
                   [ 1.0] WARNING: CPU: 0 PID: 1 at drivers/vfio/vfio_main.c:96\n\
                   [ 1.0] vfio: registered\n";
        let found = find(log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 3);
    }
}
