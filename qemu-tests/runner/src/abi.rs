// SPDX-License-Identifier: GPL-2.0

//! Holds what was seen of the debug files and of the trace events against what `Documentation/`
//! promises of them, both ways: what was seen must be documented, and what is documented must have
//! been seen.

mod rules;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

pub use rules::Rules;
use rules::Used;

/// The errnos that the documentation names, with their numbers.
const ERRNOS: [(&str, u64); 7] = [
    ("EPERM", 1),
    ("EIO", 5),
    ("EBUSY", 16),
    ("ENODEV", 19),
    ("EINVAL", 22),
    ("ENODATA", 61),
    ("ETIMEDOUT", 110),
];

/// The files that a text of `Documentation/ABI/testing/` has rules for, by name.
pub fn parse(text: &str) -> Result<BTreeMap<String, Rules>> {
    let mut files = BTreeMap::new();
    for entry in text.split("What:").skip(1) {
        let (path, description) = entry.split_once('\n').context("an entry of one line")?;
        let path = path.trim();
        let rules = Rules::parse(description).with_context(|| format!("{path} in the ABI"))?;
        let name = path.rsplit('/').next().unwrap_or_default();
        if !rules.has_no_format() {
            ensure!(rules.mode.is_some(), "{path} has no mode");
            files.insert(name.to_owned(), rules);
        }
    }
    Ok(files)
}

/// The trace events that a text of `Documentation/trace/` has rules for, a section for each.
pub fn parse_events(text: &str) -> Result<BTreeMap<String, Rules>> {
    let lines: Vec<&str> = text.lines().collect();
    let heads = lines.windows(2).enumerate().filter(|(_, two)| {
        two[1].starts_with("===") && !two[0].is_empty() && !two[0].contains([' ', '='])
    });
    let heads: Vec<usize> = heads.map(|(at, _)| at).collect();
    let ends = heads.iter().skip(1).copied().chain([lines.len()]);
    let sections = heads.iter().zip(ends);
    sections
        .map(|(&start, end)| {
            let name = lines[start].to_owned();
            let rules = Rules::parse(&lines[start..end].join("\n"))?;
            ensure!(!rules.has_no_format(), "{name} has no format");
            Ok((name, rules))
        })
        .collect()
}

/// The documented forms, modes and errnos that were seen.
#[derive(Debug, Default)]
pub struct Seen {
    modes: BTreeSet<String>,
    fields: BTreeSet<String>,
    used: BTreeSet<(String, Used)>,
    errors: BTreeSet<(String, String)>,
}

impl Seen {
    /// Takes a line of the guest, `<path> text|errno|mode|fields <json>`, and fails if it is not
    /// documented.
    pub fn take(&mut self, files: &BTreeMap<String, Rules>, line: &str) -> Result<()> {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().with_context(|| format!("line {line:?}"));
        let (path, kind, value) = (word()?, word()?, word()?);
        let value: Value = serde_json::from_str(value)?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        // The core of vfio-pci has files that are not ours.
        let Some(rules) = files.get(&name) else {
            ensure!(path.contains("/pci/"), "{path} is not documented");
            return Ok(());
        };
        match (kind, value) {
            ("text", Value::String(text)) => {
                let used = rules.read(&text).with_context(|| format!("in {path}"))?;
                self.used
                    .extend(used.into_iter().map(|used| (name.clone(), used)));
            }
            ("errno", Value::Number(number)) => {
                let known = ERRNOS.iter().find(|(_, n)| Some(*n) == number.as_u64());
                let (error, _) = known.with_context(|| format!("{path}: errno {number}"))?;
                ensure!(
                    rules.errors.contains(*error),
                    "{path} fails with {error}, which is not documented"
                );
                self.errors.insert((name, (*error).to_owned()));
            }
            ("fields", Value::Array(fields)) => {
                let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
                ensure!(
                    fields == rules.fields,
                    "{path} has the fields {fields:?}, documented are {:?}",
                    rules.fields
                );
                self.fields.insert(name);
            }
            ("mode", Value::Number(mode)) => {
                ensure!(
                    mode.as_u64() == rules.mode,
                    "{path} has the mode {mode}, documented is {:?}",
                    rules.mode
                );
                self.modes.insert(name);
            }
            _ => bail!("line {line:?}"),
        }
        Ok(())
    }

    /// Returns what is documented and was not seen: `<file> <form>` or `<file> <errno>`.
    pub fn missing(&self, files: &BTreeMap<String, Rules>) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, rules) in files {
            let forms = rules.all().into_iter();
            let unused = forms.filter(|used| !self.used.contains(&(name.clone(), used.clone())));
            missing.extend(unused.map(|(_, form)| format!("{name} {form}")));
            let errors = rules.errors.iter();
            let unseen = errors.filter(|e| !self.errors.contains(&(name.clone(), (*e).clone())));
            missing.extend(unseen.map(|error| format!("{name} {error}")));
            if rules.mode.is_some() && !self.modes.contains(name) {
                missing.push(format!("{name} mode"));
            }
            if !rules.fields.is_empty() && !self.fields.contains(name) {
                missing.push(format!("{name} fields"));
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "What:\t\t/d/attr
Description:\t(Read, 0444) What it is.

\t\tFormat::

\t\t\tengine: zip | sec
\t\t\t[failed: error <decimal>]
\t\t\t{arc: <state>><state>:<hex>}
\t\t\t<state> := STOP | STOP_COPY

\t\tThe rest of the text.

\t\tErrors::

\t\t\tEIO        it refused, or
\t\t\t           did not answer
";

    fn taken(lines: &[&str]) -> Result<Vec<String>> {
        let files = parse(TEXT)?;
        let mut seen = Seen::default();
        for line in lines {
            seen.take(&files, line)?;
        }
        Ok(seen.missing(&files))
    }

    #[test]
    fn all_that_is_documented_must_be_seen() -> Result<()> {
        let missing = taken(&[
            "/d/attr mode 292",
            r#"/d/attr text "engine: zip\nfailed: error 5\narc: STOP>STOP_COPY:0x1f\narc: STOP_COPY>STOP:0x0\n""#,
        ])?;
        assert_eq!(missing, ["attr engine: sec", "attr EIO"]);
        let rest = [
            r#"/d/attr text "engine: sec\n""#,
            "/d/attr errno 5",
            "/d/attr mode 292",
        ];
        assert_eq!(taken(&rest)?.len(), 5);
        Ok(())
    }

    #[test]
    fn all_that_is_seen_must_be_documented() {
        for line in [
            r#"/d/attr text "engine: hpre\n""#,
            r#"/d/attr text "failed: error 5\n""#,
            r#"/d/attr text "engine: zip\nfailed: error 5\nfailed: error 5\n""#,
            r#"/d/attr text "engine: zip\narc: STOP>STOP:1f\n""#,
            r#"/d/attr text "engine: zip\narc: STOP>RUNNING:0x1\n""#,
            r#"/d/attr text "engine: zip\nmore\n""#,
            r#"/d/attr text """#,
            "/d/attr errno 22",
            "/d/attr mode 256",
            r#"/d/other text """#,
        ] {
            assert!(taken(&[line]).is_err(), "{line}");
        }
    }
}
