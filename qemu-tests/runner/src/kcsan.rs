// SPDX-License-Identifier: GPL-2.0
//! Reads what KCSAN, the kernel's detector of data races, has to say in a kernel log.
//!
//! Two parts of the kernel's core race here and there, others in each run. Such a race is passed
//! over; one with a function of any module in a stack is a fault, as VFIO and the accelerators'
//! drivers are modules, and so is all of ours. If KCSAN has seen one side alone, the other may
//! be Rust, which it does not watch: then only what is listed here is passed over.

use std::ops::RangeInclusive;

/// Functions whose race was seen from one side, and is not with Rust of ours.
const KNOWN: &[&str] = &[
    // Who reads a terminal, here the control port, looks how many characters wait while the
    // receiver adds some: it throttles by that, and looks again at the next read.
    "n_tty_check_unthrottle",
];

/// A report.
#[derive(Debug, PartialEq, Eq)]
pub struct Race<'l> {
    /// Its lines in the log, from 0, without the rulers around it.
    pub lines: RangeInclusive<usize>,
    /// The functions that race; the second is missing if KCSAN only saw a value change.
    pub functions: Vec<&'l str>,
    /// A function of a module is in a stack.
    pub is_of_a_module: bool,
}

impl Race<'_> {
    /// Whether this is a fault.
    pub fn is_fault(&self) -> bool {
        match self.functions[..] {
            _ if self.is_of_a_module => true,
            [one] => !KNOWN.contains(&one),
            _ => false,
        }
    }
}

/// Whether a line of a stack names a module, as in `show+0x2c/0x80 [vfio]`.
fn names_a_module(line: &str) -> bool {
    let (_, text) = line.split_once("] ").unwrap_or_default();
    text.starts_with(' ') && text.contains("+0x") && text.contains(" [")
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
            Some(Race {
                lines: start..=end,
                functions: names.split(" / ").map(name).collect(),
                is_of_a_module: lines[start..=end].iter().any(|line| names_a_module(line)),
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
    fn race_within_the_core_is_none() {
        let log = report("copy_creds / init_file", "copy_creds+0x1b8/0x51c");
        let found = find(&log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lines, 2..=9);
        assert_eq!(found[0].functions, ["copy_creds", "init_file"]);
        assert!(!found[0].is_fault(), "{found:?}");
    }

    #[test]
    fn race_with_a_module_in_a_stack_is_a_fault() {
        for frame in [
            "show+0x2c/0x80 [hisi_acc_vfio_pci_rs]",
            "vfio_fops_release+0x2c/0x80 [vfio]",
            "qm_mb_nolock+0x2c/0x80 [hisi_qm]",
        ] {
            let log = report("copy_creds / init_file", frame);
            assert!(find(&log)[0].is_fault(), "{frame}");
        }
    }

    #[test]
    fn race_that_was_seen_from_one_side_is_a_fault_unless_it_is_known() {
        let log = report("n_tty_check_unthrottle+0xfc/0x154", "tty_read+0xf4/0x2a8");
        assert!(!find(&log)[0].is_fault());
        let log = report("init_file+0x28/0x148", "free_file+0x2c/0x80");
        assert!(find(&log)[0].is_fault());
        assert!(find("[ 1.0] kcsan: enabled early\n").is_empty());
    }
}
