// SPDX-License-Identifier: GPL-2.0

//! Finds what must not be in a kernel log.

use std::ops::RangeInclusive;

use crate::kcsan;

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

/// Lines that hold such a text and are no fault.
const HARMLESS: &[&str] = &[
    "kmemleak: Kernel memory leak detector initialized",
    "kmemleak: Automatic memory scanning thread",
    "kmemleak: Kernel memory leak detector disabled",
    // Init reads them and checks by their module.
    "new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    // The scenario of faults fails its own allocations, too, for which it has a reserve.
    "kmemleak: Cannot allocate a scan area",
    "DMA-API: preallocated",
    "DMA-API: debugging enabled",
];

/// A complaint about code that is not ours.
struct Known {
    /// The text of its first line.
    title: &'static str,
    /// Other names in it.
    names: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    // D-21: the C driver holds a lock while it copies from the user, and takes it in an arc.
    Known {
        title: "WARNING: possible circular locking dependency detected",
        names: &["&migf->lock", "[hisi_acc_vfio_pci]"],
    },
    // A PF driver that goes takes its VFs along, as hisi_qm does in remove(). In Linux 7.3 only
    // sriov_numvfs has the lock for that, which the PCI core asks for (drivers/pci/remove.c).
    Known {
        title: "WARNING: at pci_stop_and_remove_bus_device+",
        names: &["pci_iov_remove_virtfn", "hisi_qm_sriov_disable"],
    },
    // hisi_zip completes a request and then looks for its context once more, which who asked for
    // the request may have freed (drivers/crypto/hisilicon/zip/zip_crypto.c).
    Known {
        title: "BUG: KASAN: ",
        names: &["use-after-free in hisi_zip_acomp_cb+", "qm_work_process+"],
    },
];

/// What marks this project's functions in a stack: their module, or that they are Rust.
const OURS: [&str; 3] = ["[hisi_acc_vfio_pci_rs]", "[vfio_edu]", " _R"];

impl Known {
    fn fits(&self, report: &[&str]) -> bool {
        let says = |text: &str| report.iter().any(|line| line.contains(text));
        self.names.iter().all(|name| says(name)) && !OURS.iter().any(|ours| says(ours))
    }
}

/// The text of a line, without the time in front of it.
fn text(line: &str) -> &str {
    line.split_once("] ").map_or(line, |(_, text)| text)
}

/// The lines of complaints about code that is not ours, numbers from 0. One goes from its title
/// to the end of the stack that comes last in it.
fn known(log: &str) -> Vec<RangeInclusive<usize>> {
    let lines: Vec<&str> = log.lines().collect();
    let end = |start: usize| {
        let is = |line: &&str| line.contains("Call trace:");
        let stack = start + lines[start..].iter().position(is)? + 1;
        let frames = lines[stack..]
            .iter()
            .take_while(|line| text(line).starts_with(' '));
        Some(stack + frames.count() - 1)
    };
    let known = |(start, line): (usize, &&str)| {
        let known = KNOWN.iter().find(|known| line.contains(known.title))?;
        let end = end(start)?;
        known.fits(&lines[start..=end]).then_some(start..=end)
    };
    lines.iter().enumerate().filter_map(known).collect()
}

/// The lines of a kernel log that speak of a fault, each with its number from 1.
pub fn find(log: &str) -> Vec<(usize, &str)> {
    let races = kcsan::find(log);
    let known_races = races.iter().filter(|race| !race.is_fault());
    let known: Vec<_> = known_races
        .map(|race| race.lines.clone())
        .chain(known(log))
        .collect();
    log.lines()
        .enumerate()
        .filter(|(n, _)| !known.iter().any(|lines| lines.contains(n)))
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
    fn circle(frame: &str) -> String {
        format!(
            "[ 1.0] WARNING: possible circular locking dependency detected\n\
             [ 1.0] init/1 is trying to acquire lock:\n\
             [ 1.0] ffff00000f169a68 (&migf->lock){{+.+.}}-{{4:4}}, at: x+0x80/0x1c4 [hisi_acc_vfio_pci]\n\
             [ 1.0] -> #0 (&migf->lock){{+.+.}}-{{4:4}}:\n\
             [ 1.0]        {frame}\n\
             [ 1.0]  *** DEADLOCK ***\n\
             [ 1.0] Call trace:\n\
             [ 1.0]  show_stack+0x14/0x1c (C)\n\
             [ 1.0]  vfs_write+0xf4/0x254\n\
             [ 2.0] hisi_zip 0000:01:00.0: FLR resetting...\n"
        )
    }

    #[test]
    fn knows_what_is_not_of_ours() {
        let log = circle("hisi_acc_vf_disable_fds+0x80/0x1c4 [hisi_acc_vfio_pci]");
        assert_eq!(find(&log), []);
        let log = log + "[ 3.0] BUG: sleeping function called\n";
        assert_eq!(find(&log).len(), 1);
        assert_eq!(find(&log.replace("&migf->lock", "&vdev->igate")).len(), 3);
    }

    #[test]
    fn knows_a_use_after_free_by_where_it_is() {
        let log = "[ 3.1] ==================================================================\n\
                   [ 3.1] BUG: KASAN: use-after-free in hisi_zip_acomp_cb+0x3fc/0x4cc [hisi_zip]\n\
                   [ 3.1] Read of size 2 at addr ffff00000ac20030 by task kworker/u13:0/53\n\
                   [ 3.1] Call trace:\n\
                   [ 3.1]  show_stack+0x14/0x1c (C)\n\
                   [ 3.1]  hisi_zip_acomp_cb+0x3fc/0x4cc [hisi_zip]\n\
                   [ 3.1]  qm_work_process+0x2ac/0x724 [hisi_qm]\n\
                   [ 3.1]  ret_from_fork+0x10/0x20\n\
                   [ 3.1] \n\
                   [ 3.1] The buggy address belongs to the physical page:\n";
        assert_eq!(find(log), []);
        // The same callback, but another function is at fault.
        let other = log.replace("in hisi_zip_acomp_cb+", "in hisi_acc_sg_buf_unmap+");
        assert_eq!(find(&other).len(), 2);
        let other = log.replace("use-after-free", "slab-out-of-bounds");
        assert_eq!(find(&other).len(), 2);
    }

    #[test]
    fn ours_in_a_stack_is_a_fault() {
        for frame in [
            "set_state+0x80/0x1c4 [hisi_acc_vfio_pci_rs]",
            "_RNvCs1_4vfio5write+0x80/0x1c4 [vfio]",
        ] {
            assert_eq!(find(&circle(frame)).len(), 2, "{frame}");
        }
    }

    #[test]
    fn complaint_that_is_cut_off_is_a_fault() {
        let log = circle("x+0x1/0x2 [hisi_acc_vfio_pci]");
        let (part, _) = log.split_once("[ 1.0] Call trace:").unwrap();
        assert_eq!(find(part).len(), 1);
    }
}
