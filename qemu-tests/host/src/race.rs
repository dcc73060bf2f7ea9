// SPDX-License-Identifier: GPL-2.0
//! Reads what KCSAN, the kernel's detector of data races, has to say in a kernel log.
//!
//! A race with one of our modules in a stack is a fault, whoever else is in it. Of others those
//! are expected that are listed here, each with its reason; any other is a fault as well.

use std::ops::RangeInclusive;

/// How the kernel marks functions of our modules in a stack.
const OURS: [&str; 3] = ["[vfio]", "[hisi_acc_vfio_pci_rs]", "[vfio_edu]"];

/// A race in code that is not ours.
struct Known {
    /// The function of each side that was seen.
    functions: &'static [&'static str],
    /// A function that the stacks go through, where the names do not say enough.
    within: &'static str,
}

const KNOWN: &[Known] = &[
    // get_cred() on both sides stores 0 to `non_rcu`, which is 0 (include/linux/cred.h).
    Known {
        functions: &["copy_creds", "init_file"],
        within: "",
    },
    // Who walks through a folder of sysfs refreshes its inode from the node, with the lock shared:
    // all store the same mode and the same number of links (kernfs_refresh_inode()).
    Known {
        functions: &["kernfs_iop_permission", "kernfs_iop_permission"],
        within: "",
    },
    Known {
        functions: &["generic_permission", "kernfs_iop_permission"],
        within: "",
    },
    Known {
        functions: &["set_nlink", "set_nlink"],
        within: " kernfs_iop_",
    },
    // A bit of the pointer to a list's first entry is the list's lock (include/linux/list_bl.h).
    // Who waits for it tries to set it, atomically, while the holder stores the pointer.
    Known {
        functions: &["d_alloc_parallel", "d_alloc_parallel"],
        within: "",
    },
    // Who reads a terminal, here the control port, looks how many characters wait while the
    // receiver adds some: it throttles by that, and looks again at the next read.
    Known {
        functions: &["n_tty_check_unthrottle"],
        within: "",
    },
];

/// A report.
#[derive(Debug, PartialEq, Eq)]
pub struct Race<'l> {
    /// Its lines in the log, from 0, without the rulers around it.
    pub lines: RangeInclusive<usize>,
    /// The functions that race; the second is missing if KCSAN only saw a value change.
    pub functions: Vec<&'l str>,
    /// One of our modules is in a stack.
    pub is_ours: bool,
    text: Vec<&'l str>,
}

impl Race<'_> {
    /// Whether this is to be expected.
    pub fn is_known(&self) -> bool {
        let fits = |known: &Known| {
            let one_way = self.functions.iter().eq(known.functions);
            let other_way = self.functions.iter().rev().eq(known.functions);
            (one_way || other_way) && self.text.iter().any(|line| line.contains(known.within))
        };
        !self.is_ours && KNOWN.iter().any(fits)
    }
}

/// The name of a function, without the offset that stands behind the only one of a report.
fn name(function: &str) -> &str {
    function.split('+').next().unwrap_or_default().trim()
}

/// All reports in a log.
pub fn find(log: &str) -> Vec<Race<'_>> {
    let lines: Vec<&str> = log.lines().collect();
    let is_ruler = |line: &str| line.trim_end().ends_with("========================");
    let starts = lines.iter().enumerate();
    starts
        .filter_map(|(start, line)| {
            let (_, title) = line.split_once("BUG: KCSAN: ")?;
            let names = title.rsplit_once(" in ")?.1;
            let end = lines[start..].iter().position(|line| is_ruler(line));
            let end = end.map_or(lines.len() - 1, |length| start + length);
            let text = lines[start..=end].to_vec();
            Some(Race {
                lines: start..=end,
                functions: names.split(" / ").map(name).collect(),
                is_ours: text.iter().any(|l| OURS.iter().any(|o| l.contains(o))),
                text,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::find;

    fn report(title: &str, frame: &str) -> String {
        format!(
            "[ 1.0] vfio: registered\n\
             [ 2.0] ==================================================================\n\
             [ 2.0] BUG: KCSAN: data-race in {title}\n\
             [ 2.0] \n\
             [ 2.0] write to 0xffff000001eb5138 of 4 bytes by task 216 on cpu 1:\n\
             [ 2.0]  init_file+0x28/0x148\n\
             [ 2.0] \n\
             [ 2.0] write to 0xffff000001eb5138 of 4 bytes by task 1 on cpu 0:\n\
             [ 2.0]  {frame}\n\
             [ 2.0] ==================================================================\n\
             [ 3.0] hisi_zip 0000:01:00.0: ready [vfio]\n"
        )
    }

    #[test]
    fn race_that_is_known_is_known_whichever_side_came_first() {
        for title in ["copy_creds / init_file", "init_file / copy_creds"] {
            let log = report(title, "copy_creds+0x1b8/0x51c");
            let found = find(&log);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].lines, 2..=9);
            assert!(found[0].is_known(), "{found:?}");
        }
    }

    #[test]
    fn race_of_which_one_side_was_seen_is_known_by_that() {
        let log = report("n_tty_check_unthrottle+0xfc/0x154", "tty_read+0xf4/0x2a8");
        assert!(find(&log)[0].is_known());
    }

    #[test]
    fn race_with_our_modules_in_a_stack_is_a_fault() {
        for frame in [
            "show+0x2c/0x80 [hisi_acc_vfio_pci_rs]",
            "vfio_fops_release+0x2c/0x80 [vfio]",
        ] {
            let log = report("copy_creds / init_file", frame);
            let found = find(&log);
            assert!(found[0].is_ours && !found[0].is_known(), "{found:?}");
        }
    }

    #[test]
    fn race_that_nobody_has_named_is_a_fault() {
        for title in ["init_file / free_file", "init_file+0x28/0x148"] {
            let log = report(title, "free_file+0x2c/0x80");
            assert!(!find(&log)[0].is_known());
        }
        assert!(find("[ 1.0] kcsan: enabled early\n").is_empty());
    }
}
