// SPDX-License-Identifier: GPL-2.0

//! The results of both drivers on all hardware.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

/// The model's default.
pub const DEFAULT: &str = "default";

/// The result of a load: nothing if it passed, else the reason.
pub type Verdict = Option<String>;

/// The results of loads on hardware, by the names of both.
pub type Verdicts = BTreeMap<(String, String), Verdict>;

/// The results of the same loads with both drivers.
#[derive(Debug)]
pub struct Comparison {
    /// On what the loads ran.
    pub trial: String,
    /// With the C driver.
    pub c: Verdicts,
    /// With ours.
    pub rust: Verdicts,
}

/// All that was compared.
#[derive(Debug, Default)]
pub struct Table(pub Vec<Comparison>);

fn failed(verdicts: &Verdicts, hardware: &str, load: &str) -> bool {
    let key = (hardware.to_owned(), load.to_owned());
    matches!(verdicts.get(&key), Some(Some(_)))
}

/// Loads that fail on that hardware and not on the model's default, and those that are the other
/// way round.
fn differences<'v>(
    verdicts: &'v Verdicts,
    hardware: &str,
) -> (BTreeSet<&'v str>, BTreeSet<&'v str>) {
    let mut sets = (BTreeSet::new(), BTreeSet::new());
    for ((known, load), verdict) in verdicts {
        if known == hardware {
            let before = hardware != DEFAULT && failed(verdicts, DEFAULT, load);
            match verdict {
                Some(_) if !before => drop(sets.0.insert(load.as_str())),
                None if before => drop(sets.1.insert(load.as_str())),
                _ => {}
            }
        }
    }
    sets
}

impl Comparison {
    /// Whether the C driver does on that hardware all that it does on the default.
    pub(super) fn is_admissible(&self, hardware: &str) -> bool {
        differences(&self.c, hardware).0.is_empty()
    }

    /// Loads at which ours fails and the C driver does not.
    fn worse(&self) -> impl Iterator<Item = String> {
        self.rust.iter().filter_map(|((hardware, load), verdict)| {
            let reason = verdict.as_ref()?;
            let theirs = self.c.get(&(hardware.clone(), load.clone()));
            matches!(theirs, Some(None)).then(|| {
                let trial = &self.trial;
                format!("{trial}, {hardware}: ours fails at {load}: {reason}")
            })
        })
    }
}

impl Table {
    /// All loads at which ours fails and the C driver does not.
    pub fn problems(&self) -> Vec<String> {
        self.0.iter().flat_map(Comparison::worse).collect()
    }

    /// Hardware, in the order in which it was first tried.
    fn hardware(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for comparison in &self.0 {
            for (name, _) in comparison.c.keys().chain(comparison.rust.keys()) {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        names.sort_by_key(|name| (*name != DEFAULT, name.matches('+').count(), *name));
        names
    }

    fn cell(&self, hardware: &str, of: fn(&Comparison) -> &Verdicts) -> String {
        let mut fails = BTreeSet::new();
        let mut passes = BTreeSet::new();
        let mut tried = false;
        for comparison in &self.0 {
            let verdicts = of(comparison);
            tried |= verdicts.keys().any(|(name, _)| name == hardware);
            let (more, fewer) = differences(verdicts, hardware);
            fails.extend(more);
            passes.extend(fewer);
        }
        let list = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(", ");
        match (tried, fails.is_empty(), passes.is_empty()) {
            (false, ..) => "not tried".to_owned(),
            (_, true, true) => "passes".to_owned(),
            (_, true, false) => format!("passes, also {}", list(passes)),
            (_, false, true) => format!("fails: {}", list(fails)),
            (_, false, false) => format!("fails: {}; passes also {}", list(fails), list(passes)),
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hardware = self.hardware();
        let width = hardware
            .iter()
            .map(|name| name.len())
            .max()
            .unwrap_or(0)
            .min(40);
        writeln!(f, "{:width$}  C driver | ours", "hardware")?;
        for name in hardware {
            let c = self.cell(name, |comparison| &comparison.c);
            let rust = self.cell(name, |comparison| &comparison.rust);
            writeln!(f, "{name:width$}  {c} | {rust}")?;
        }
        writeln!(
            f,
            "A load that fails on the default is listed there, and else where it passes."
        )?;
        writeln!(f, "What comes of the loads at which the C driver fails:")?;
        let mut told = BTreeSet::new();
        for comparison in &self.0 {
            for ((hardware, load), verdict) in &comparison.c {
                let Some(reason) = verdict else { continue };
                let is_new = hardware == DEFAULT || !failed(&comparison.c, DEFAULT, load);
                if is_new && told.insert((hardware, load)) {
                    writeln!(f, "  {hardware}, {load} ({}): {reason}", comparison.trial)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(all: &[(&str, &str, bool)]) -> Verdicts {
        let each = all.iter().map(|(hardware, load, passed)| {
            let verdict = (!passed).then(|| "it does not end".to_owned());
            (((*hardware).to_owned(), (*load).to_owned()), verdict)
        });
        each.collect()
    }

    fn compared(c: &[(&str, &str, bool)], rust: &[(&str, &str, bool)]) -> Table {
        Table(vec![Comparison {
            trial: "zip V3".to_owned(),
            c: verdicts(c),
            rust: verdicts(rust),
        }])
    }

    #[test]
    fn ours_may_fail_where_the_c_driver_does() {
        let c = [(DEFAULT, "paused", false), ("odd", "last", false)];
        let table = compared(&c, &c);
        assert!(table.problems().is_empty(), "{:?}", table.problems());
        let table = compared(&[("odd", "last", true)], &[("odd", "last", false)]);
        assert_eq!(table.problems().len(), 1);
    }

    #[test]
    fn hardware_is_admissible_if_the_c_driver_does_there_what_it_does() {
        let c = [
            (DEFAULT, "paused", false),
            (DEFAULT, "last", true),
            ("odd", "paused", false),
            ("odd", "last", true),
            ("worse", "last", false),
        ];
        let table = compared(&c, &[]);
        assert!(table.0[0].is_admissible("odd"));
        assert!(!table.0[0].is_admissible("worse"));
    }

    #[test]
    fn a_load_that_passes_where_it_fails_by_default_is_told() {
        let c = [(DEFAULT, "paused", false), ("odd", "paused", true)];
        let text = compared(&c, &[]).to_string();
        assert!(
            text.contains("default  fails: paused | not tried"),
            "{text}"
        );
        assert!(text.contains("passes, also paused | not tried"), "{text}");
    }
}
