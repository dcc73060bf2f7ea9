// SPDX-License-Identifier: GPL-2.0
//! `make bench`: what each step of a migration costs with the C driver and with ours, in one run,
//! on the same machine and model.

use std::collections::HashMap;
use std::fmt::{self, Display};

use anyhow::{Context, Result, ensure};

use crate::{Artifacts, Scenario};

/// What is compared, in the order of the columns.
const QUANTITIES: [&str; 5] = ["reads", "writes", "doorbells", "mailbox", "time"];

type Costs = [u64; QUANTITIES.len()];

/// The comparison, step by step.
pub struct Table {
    rows: Vec<(String, Costs, Costs)>,
}

/// Measures both drivers.
pub fn run(artifacts: &Artifacts) -> Result<Table> {
    let c = measure(artifacts, "c")?;
    let rust: HashMap<_, _> = measure(artifacts, "rust")?.into_iter().collect();
    let rows = c
        .into_iter()
        .map(|(step, c)| {
            let rust = *rust
                .get(&step)
                .with_context(|| format!("our driver was not measured at `{step}`"))?;
            Ok((step, c, rust))
        })
        .collect::<Result<_>>()?;
    Ok(Table { rows })
}

fn measure(artifacts: &Artifacts, driver: &str) -> Result<Vec<(String, Costs)>> {
    let scenario = Scenario::new("bench").with("driver", driver).counted();
    let outcome = scenario
        .with("vfio", driver)
        .run(artifacts, |line| println!("{line}"))?;
    outcome.expect_passed()?;
    let rows: Vec<_> = outcome
        .dump
        .iter()
        .map(|line| parse(line).with_context(|| format!("not a measurement: {line}")))
        .collect::<Result<_>>()?;
    ensure!(
        !rows.is_empty(),
        "nothing was measured with driver={driver}"
    );
    Ok(rows)
}

fn parse(line: &str) -> Option<(String, Costs)> {
    let mut costs = Costs::default();
    let (mut rest, mut found) = (line, 0);
    for (cost, quantity) in costs.iter_mut().zip(QUANTITIES).rev() {
        let (before, value) = rest.rsplit_once(&format!(" {quantity}="))?;
        *cost = value.parse().ok()?;
        rest = before;
        found += 1;
    }
    (found == QUANTITIES.len()).then(|| (rest.to_string(), costs))
}

/// `ours / theirs`, where that is a number.
fn ratio(c: u64, rust: u64) -> String {
    match (c, rust) {
        (0, 0) => "-".into(),
        (0, _) => "more".into(),
        _ => format!("{:.2}", rust as f64 / c as f64),
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Each cell: C driver, ours, ratio. Accesses as the device counts them; time in ns of a\n\
             machine with 1 ns for each instruction (system call included), median of 15.\n"
        )?;
        write!(f, "{:<26}", "step")?;
        for quantity in QUANTITIES {
            write!(f, "{quantity:>27}")?;
        }
        writeln!(f)?;
        let mut sums = (Costs::default(), Costs::default());
        for (step, c, rust) in &self.rows {
            row(f, step, c, rust)?;
            for n in 0..QUANTITIES.len() {
                sums.0[n] += c[n];
                sums.1[n] += rust[n];
            }
        }
        row(f, "all", &sums.0, &sums.1)
    }
}

fn row(f: &mut fmt::Formatter<'_>, step: &str, c: &Costs, rust: &Costs) -> fmt::Result {
    write!(f, "{step:<26}")?;
    for (c, rust) in c.iter().zip(rust) {
        write!(f, "{:>27}", format!("{c} {rust} {:>5}", ratio(*c, *rust)))?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::{parse, ratio};

    #[test]
    fn a_step_may_have_spaces() {
        let (step, costs) =
            parse("RUNNING to STOP reads=5 writes=1 doorbells=0 mailbox=1 time=1234").unwrap();
        assert_eq!(step, "RUNNING to STOP");
        assert_eq!(costs, [5, 1, 0, 1, 1234]);
        assert!(parse("RUNNING to STOP reads=5").is_none());
    }

    #[test]
    fn nothing_against_nothing_has_no_ratio() {
        assert_eq!(ratio(0, 0), "-");
        assert_eq!(ratio(4, 2), "0.50");
        assert_eq!(ratio(0, 2), "more");
    }
}
