// SPDX-License-Identifier: GPL-2.0

//! Reads what KCSAN, the kernel's detector of data races, has to say in a kernel log.
//!
//! Two parts of the kernel's core race here and there, others in each run. Such a race is ignored;
//! one with a function of any module in a stack is a fault, because VFIO, the accelerators' drivers
//! and everything here are modules. What an interrupt has interrupted is not part of the stack of
//! its handler. If KCSAN has seen only one side, the other may be Rust, which it does not watch:
//! then only the functions that are listed here are ignored.

use std::ops::RangeInclusive;

/// Functions whose race was seen from one side, and is not with Rust code of this tree.
const KNOWN: &[&str] = &[
    // A reader of a terminal, here of the control port, checks how many characters are pending
    // while the receiver adds some: it throttles by that, and checks again at the next read.
    "n_tty_check_unthrottle",
];

/// A report.
#[derive(Debug, PartialEq, Eq)]
pub struct Race<'l> {
    /// Its lines in the log, from 0, without the rulers around it.
    pub lines: RangeInclusive<usize>,
    /// The functions that race; the second is missing if KCSAN only saw a value change.
    pub functions: Vec<&'l str>,
    /// A function of a module is in a stack, above the entry of an interrupt.
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

/// The function by which an interrupt of the kernel is entered; what it has interrupted is below.
const INTERRUPT: &str = "el1h_64_irq+";

/// Whether a stack in a report has a function of a module, as in `show+0x2c/0x80 [vfio]`.
fn names_a_module(report: &[&str]) -> bool {
    let mut interrupted = false;
    for line in report {
        let (_, text) = line.split_once("] ").unwrap_or_default();
        if !text.starts_with(' ') {
            interrupted = false;
        } else if text.trim_start().starts_with(INTERRUPT) {
            interrupted = true;
        } else if !interrupted && text.contains("+0x") && text.contains(" [") {
            return true;
        }
    }
    false
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
                is_of_a_module: names_a_module(&lines[start..=end]),
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
    fn what_an_interrupt_has_interrupted_does_not_race() {
        let interrupt = "hrtimer_wakeup+0x2c/0x80\n[ 2.0]  el1_interrupt+0x4c/0x80\n\
                         [ 2.0]  el1h_64_irq+0x6c/0x70";
        let module = "qm_mb_nolock+0x2c/0x80 [hisi_qm]";
        let frames = format!("{interrupt}\n[ 2.0]  {module}");
        assert!(!find(&report("do_nanosleep / hrtimer_wakeup", &frames))[0].is_fault());
        let frames = format!("{module}\n[ 2.0]  {interrupt}");
        assert!(find(&report("do_nanosleep / hrtimer_wakeup", &frames))[0].is_fault());
        // The second side of a report has a stack of its own.
        let frames =
            format!("{interrupt}\n[ 2.0] \n[ 2.0] read to 0x1 by task 1:\n[ 2.0]  {module}");
        assert!(find(&report("do_nanosleep / hrtimer_wakeup", &frames))[0].is_fault());
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
