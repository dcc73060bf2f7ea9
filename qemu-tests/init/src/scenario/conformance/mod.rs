// SPDX-License-Identifier: GPL-2.0

//! Differential conformance: random sequences of what userspace can do, each on the C driver and
//! on ours.
//!
//! Answers, states and registers have to agree after each step, but for the differences that are
//! listed. A sequence with one that is not listed is cut down to the steps that it needs, and
//! reported with the command that reproduces it. Some sequences are run each time.

mod differences;
mod driver_under_test;
mod generate;
mod history;
mod observation;
mod pair;
mod regressions;
mod shrink;
mod step;
mod stream;

use std::fmt::{self, Display};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use protocol::{Log, Setup};

use control::Report;
use differences::DIFFERENCES;
use linux::sysfs;
use pair::{DifferenceCounts, DriverPairs};

/// Sequences between two lines that say how far it is.
const PROGRESS: u64 = 250;
/// After so many different failures, or sequences that fail, the others are not run.
const ENOUGH: usize = 8;
const TOO_MANY: u64 = 100;

/// The sequences that are asked for.
pub(super) struct Sequences {
    pub(super) seed: u64,
    /// Number of the first.
    pub(super) first: u64,
    pub(super) count: u64,
    /// From each number to the next.
    pub(super) stride: u64,
    /// The number of one that stands still.
    pub(super) stall: Option<u64>,
}

pub(super) fn run(
    setup: &Setup,
    sequences: &Sequences,
    log: Log,
    report: &mut Report,
) -> Result<()> {
    let Sequences {
        seed,
        first,
        count,
        stride,
        stall,
    } = *sequences;
    if log == Log::Quiet {
        // Each refusal is a line of the C driver, and the console is slow. That the kernel does
        // not complain is looked for in its taint.
        sysfs::write("/proc/sys/kernel/printk", "1")?;
    }
    let mut all = DriverPairs::new(setup)?;
    let mut counts: DifferenceCounts = [0; DIFFERENCES.len()];
    let mut failed = 0;
    let mut told: Vec<pair::Unlisted> = Vec::new();
    let start = Instant::now();
    let kept = regressions::sequences().into_iter().zip(1..);
    let kept = kept.map(|(steps, number)| (Sequence::Kept(number), steps));
    let random = (0..count).map(|index| {
        let number = first + index * stride;
        let steps = generate::sequence(seed, number);
        (Sequence::Random { seed, number }, steps)
    });
    for (done, (sequence, steps)) in (0_u64..).zip(kept.chain(random)) {
        control::doing(format!("{sequence} ({})", sequence.reproduced()));
        if matches!(sequence, Sequence::Random { number, .. } if Some(number) == stall) {
            stand_still();
        }
        let pair = all.of(sequence.number());
        let found = pair
            .run(&steps, &mut counts)
            .with_context(|| format!("{sequence}: {steps:?}"))?;
        if let Some(found) = found {
            failed += 1;
            if !told.iter().any(|known| known.is_like(&found)) {
                told.push(found.clone());
                report.point(&sequence.to_string(), || {
                    let (steps, found) = shrink::shrink(pair, steps, found, || {
                        control::doing(format!("parts of {sequence}"));
                    })?;
                    bail!("{}", tell(sequence, &steps, &found))
                });
            }
            if told.len() == ENOUGH || failed == TOO_MANY {
                break;
            }
        }
        if (done + 1) % PROGRESS == 0 {
            control::show(format!(
                "{} sequences, of {count} from {first}, {failed} failed, {} s of the machine",
                done + 1,
                start.elapsed().as_secs()
            ));
        }
    }
    for (difference, times) in DIFFERENCES.iter().zip(counts) {
        control::dump(format!("difference {} {times}", difference.name));
    }
    report.point("all sequences", || {
        ensure!(failed == 0, "{failed} sequences show what is not listed");
        Ok(())
    });
    Ok(())
}

/// Where a sequence comes from.
#[derive(Clone, Copy)]
enum Sequence {
    /// From those that are run each time, counted from 1.
    Kept(usize),
    Random {
        seed: u64,
        number: u64,
    },
}

impl Sequence {
    /// Its number; those that are kept were found on the accelerator of the first one.
    fn number(self) -> u64 {
        match self {
            Sequence::Kept(_) => 0,
            Sequence::Random { number, .. } => number,
        }
    }

    /// The command that runs it again.
    fn reproduced(self) -> String {
        match self {
            Sequence::Kept(_) => "make conformance N=1".into(),
            Sequence::Random { seed, number } => {
                format!("make conformance SEED={seed} FIRST={number} N=1")
            }
        }
    }
}

impl Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sequence::Kept(number) => write!(f, "kept sequence {number}"),
            Sequence::Random { seed, number } => write!(f, "seed {seed}, sequence {number}"),
        }
    }
}

/// As a driver that loops does, for the test of what the runner makes of it.
fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

fn tell(sequence: Sequence, steps: &[step::Step], found: &pair::Unlisted) -> String {
    let mut lines = vec![format!(
        "after step {} {:?} differs: C driver {}, ours {}",
        found.step + 1,
        found.aspect,
        found.c,
        found.ours
    )];
    for (number, step) in steps.iter().enumerate() {
        lines.push(format!("{:>3} {step:?}", number + 1));
    }
    lines.push(format!("reproduce: {}", sequence.reproduced()));
    lines.join("\n")
}
