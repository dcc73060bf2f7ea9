// SPDX-License-Identifier: GPL-2.0

//! The measurements as text.

use std::collections::HashMap;
use std::fmt::{self, Display};

use super::pace::BOARD;

/// The C driver's and ours.
pub(super) type Both<T> = [T; 2];

/// The measurements of each step, in the order of the steps.
pub(super) type Rows = Vec<(String, Costs)>;
/// Quantities by name.
pub(super) type Costs = HashMap<String, u64>;

/// All that was measured.
#[derive(Default)]
pub struct Report {
    /// On a device that answers at once.
    pub(super) steps: Both<Rows>,
    /// On one that takes its time.
    pub(super) timed: Both<Rows>,
    /// The C driver with the kernel's `vfio.ko`, and with ours.
    pub(super) core: Both<Rows>,
    pub(super) allocations: Both<Rows>,
    /// For a number of VFs that are saved at once.
    pub(super) together: Vec<(u32, Both<Rows>)>,
    /// The device's counts with the most VFs and two CPUs.
    pub(super) violations: Both<Vec<String>>,
}

/// What a step needs to do to the device with any driver: reads and writes. A mailbox command is
/// six reads and two writes, one that asks four reads and two writes; hisi_qm does these for both
/// drivers.
///
/// - To stop: a command, four states that must be quiet, and a write-back that is started and waited for.
/// - To save: whether there is a driver, five registers, two contexts of seven, and two commands that ask.
/// - To load: four registers, two contexts, two commands, messages let through, and the driver's readiness.
/// - To start: a doorbell for each of 32 queues.
///
/// The stop of a VF without save or load leaves open whether there is a driver, which the start
/// after it must ask. What a VF is, it is asked once, when it is bound: a command, and the PF's
/// isolation.
const FLOOR: [(&str, [u64; 2]); 8] = [
    ("RUNNING to STOP", [11, 3]),
    ("STOP to RUNNING", [1, 32]),
    ("RUNNING to PRE_COPY", [1, 0]),
    ("PRE_COPY to STOP_COPY", [39, 7]),
    ("bind", [5, 2]),
    ("RUNNING to STOP, fresh", [11, 3]),
    ("RESUMING to STOP", [12, 25]),
    ("STOP to RUNNING, loaded", [0, 32]),
];

/// The steps during which the VM stands still.
const BLACKOUT: [&str; 5] = [
    "PRE_COPY to STOP_COPY",
    "read in STOP_COPY",
    "write in RESUMING",
    "RESUMING to STOP",
    "STOP to RUNNING, loaded",
];

/// Steps that are no part of a migration.
fn is_extra(step: &str) -> bool {
    [
        "read attr",
        "read cmd_state",
        "read data",
        "read debug",
        "read dev_data",
    ]
    .into_iter()
    .chain(["read match", "read migf_data", "the module"])
    .any(|extra| extra == step)
}

/// `<step> <quantity>=<number>..`; a step may have spaces.
pub(super) fn parse(line: &str) -> Option<(String, Costs)> {
    let mut costs = Costs::new();
    let mut step = line;
    while let Some((before, word)) = step.rsplit_once(' ') {
        let Some((quantity, value)) = word.split_once('=') else {
            break;
        };
        costs.insert(quantity.to_owned(), value.parse().ok()?);
        step = before;
    }
    (!costs.is_empty()).then(|| (step.to_owned(), costs))
}

/// `ours / theirs`, where that is a number.
fn ratio(c: u64, rust: u64) -> String {
    match (c, rust) {
        (0, 0) => "-".into(),
        (0, _) => "more".into(),
        _ => format!("{:.2}", rust as f64 / c as f64),
    }
}

fn cell(c: Option<u64>, rust: Option<u64>) -> String {
    let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    let ratio = match (c, rust) {
        (Some(c), Some(rust)) => ratio(c, rust),
        _ => "-".into(),
    };
    format!("{} {} {ratio:>5}", number(c), number(rust))
}

/// The rows of both, in the order of ours; what only the C driver has comes last.
fn pairs(both: &Both<Rows>) -> Vec<(&str, [Option<&Costs>; 2])> {
    let find = |rows: &'_ Rows, step: &str| -> Option<usize> {
        rows.iter().position(|(name, _)| name == step)
    };
    let [c, rust] = both;
    let ours = rust
        .iter()
        .map(|(step, costs)| (step.as_str(), [find(c, step).map(|n| &c[n].1), Some(costs)]));
    let theirs = c
        .iter()
        .filter(|(step, _)| find(rust, step).is_none())
        .map(|(step, costs)| (step.as_str(), [Some(costs), None]));
    ours.chain(theirs).collect()
}

fn sum(both: &Both<Rows>, quantity: &str, of: impl Fn(&str) -> bool) -> [Option<u64>; 2] {
    both.each_ref().map(|rows| {
        let chosen = rows.iter().filter(|(step, _)| of(step));
        Some(chosen.filter_map(|(_, costs)| costs.get(quantity)).sum())
    })
}

impl Report {
    fn section(
        f: &mut fmt::Formatter<'_>,
        title: &str,
        both: &Both<Rows>,
        quantities: &[&str],
        floor: bool,
    ) -> fmt::Result {
        writeln!(f, "\n{title}\n")?;
        write!(f, "{:<26}", "")?;
        for quantity in quantities {
            write!(f, "{quantity:>27}")?;
        }
        writeln!(f, "{}", if floor { "   floor: reads writes" } else { "" })?;
        for (step, [c, rust]) in pairs(both) {
            write!(f, "{step:<26}")?;
            for quantity in quantities {
                let value = |costs: Option<&Costs>| costs?.get(*quantity).copied();
                write!(f, "{:>27}", cell(value(c), value(rust)))?;
            }
            if let Some((_, [reads, writes])) =
                FLOOR.iter().find(|(name, _)| floor && *name == step)
            {
                write!(f, "{reads:>15} {writes:>6}")?;
            }
            writeln!(f)?;
        }
        let all = |step: &str| !is_extra(step);
        let blackout = |step: &str| BLACKOUT.contains(&step);
        Self::sums(f, "a migration", both, quantities, all)?;
        Self::sums(f, "blackout in it", both, quantities, blackout)
    }

    fn sums(
        f: &mut fmt::Formatter<'_>,
        name: &str,
        both: &Both<Rows>,
        quantities: &[&str],
        of: impl Fn(&str) -> bool,
    ) -> fmt::Result {
        write!(f, "{name:<26}")?;
        for quantity in quantities {
            let [c, rust] = sum(both, quantity, &of);
            write!(f, "{:>27}", cell(c, rust))?;
        }
        writeln!(f)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Each cell: C driver, ours, ratio. Medians of several rounds. Both drivers with our vfio.ko."
        )?;
        Self::section(
            f,
            "Accesses, as the device counts them (doorbells are writes too), and the floor: what the\n\
             step needs to do to the device, whoever does it.",
            &self.steps,
            &["reads", "writes", "doorbells", "mailbox"],
            true,
        )?;
        Self::section(
            f,
            "Time in ns with 1 ns for an instruction, on a device that answers at once: instructions of the\n\
             step's system calls. Where there is a mailbox command, hisi_qm sleeps before it looks for the end\n\
             of it; opening and closing wait for resets.",
            &self.steps,
            &["time"],
            false,
        )?;
        Self::section(
            f,
            "The same of the C driver alone: with the kernel's vfio.ko, with ours, ratio. Ours keeps the\n\
             history of requests.",
            &self.core,
            &["time"],
            false,
        )?;
        Self::section(
            f,
            &format!(
                "Time in ns with 1 ns for an instruction, {} ns for a register that is read and {} ns\n\
                 for a mailbox command.",
                BOARD.register_ns, BOARD.mailbox_ns
            ),
            &self.timed,
            &["time"],
            false,
        )?;
        Self::section(
            f,
            "Memory: how often the step allocates, bytes in all, and bytes that are still there when it\n\
             is over. Of the module, what it takes when it is loaded, with the unit tests in it.",
            &self.allocations,
            &["allocations", "bytes", "kept"],
            false,
        )?;
        writeln!(
            f,
            "\nSeveral VFs at once, on one CPU, with the times above: ns of one VF in the mean, and from\n\
             when the first begins to when the last has done it.\n"
        )?;
        writeln!(f, "{:<10}{:<16}{:>27}{:>27}", "VFs", "", "one", "all")?;
        for (vfs, both) in &self.together {
            for (step, [c, rust]) in pairs(both) {
                let value = |costs: Option<&Costs>, quantity| costs?.get(quantity).copied();
                write!(f, "{vfs:<10}{step:<16}")?;
                for quantity in ["one", "all"] {
                    write!(f, "{:>27}", cell(value(c, quantity), value(rust, quantity)))?;
                }
                writeln!(f)?;
            }
        }
        writeln!(
            f,
            "\nViolations with 63 VFs at once on two CPUs, each of which also begins 100 sessions in a row:"
        )?;
        for (driver, violations) in ["C driver", "ours"].iter().zip(&self.violations) {
            let violations = match violations[..] {
                [] => "none".into(),
                _ => violations.join(", "),
            };
            writeln!(f, "{driver:<10}{violations}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{cell, parse, ratio};

    #[test]
    fn a_step_may_have_spaces() {
        let (step, costs) = parse("RUNNING to STOP, fresh reads=5 time=1234").unwrap();
        assert_eq!(step, "RUNNING to STOP, fresh");
        assert_eq!((costs["reads"], costs["time"]), (5, 1234));
        assert!(parse("RUNNING to STOP reads=five").is_none());
        assert!(parse("RUNNING to STOP").is_none());
    }

    #[test]
    fn nothing_against_nothing_has_no_ratio() {
        assert_eq!(ratio(0, 0), "-");
        assert_eq!(ratio(4, 2), "0.50");
        assert_eq!(ratio(0, 2), "more");
        assert_eq!(cell(None, Some(3)), "- 3     -");
    }
}
