// SPDX-License-Identifier: GPL-2.0
//! Reads what `Documentation/` promises of the debug files and of the trace events, and holds what was seen of
//! them against it, both ways: what was seen must be documented, and what is documented must have
//! been seen.
//!
//! The notation is explained in `debugfs-hisi-acc-vfio-rs`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

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

/// How often a line of a file can be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    AtMostOnce,
    Any,
}

/// A line of a file: all the forms that it can have.
#[derive(Debug)]
struct Line {
    times: Times,
    forms: Vec<String>,
}

/// The rules of one file.
#[derive(Debug, Default)]
pub struct Rules {
    mode: Option<u64>,
    lines: Vec<Line>,
    /// What stands for a word in `<>`: its forms.
    words: BTreeMap<String, Vec<String>>,
    errors: BTreeSet<String>,
    /// The fields of a trace event, as it declares them.
    fields: Vec<String>,
}

/// A form that was used: the word that it is of, or the line's number, and the form.
type Used = (String, String);

impl Rules {
    /// Reads the description of one file.
    fn parse(text: &str) -> Result<Self> {
        let mode = text.split_once("Read").and_then(|(_, rest)| {
            let (_, digits) = rest.split(')').next()?.rsplit_once(", ")?;
            u64::from_str_radix(digits, 8).ok()
        });
        let mut rules = Self {
            mode,
            ..Self::default()
        };
        for line in block(text, "Format::") {
            rules.format(line)?;
        }
        rules.fields = block(text, "Fields::")
            .into_iter()
            .map(str::to_owned)
            .collect();
        for line in block(text, "Errors::") {
            // A line that goes on begins with white space.
            if let Some(name) = line.split(' ').next().filter(|name| !name.is_empty()) {
                rules.errors.insert(name.to_owned());
            }
        }
        Ok(rules)
    }

    fn format(&mut self, line: &str) -> Result<()> {
        if let Some((name, forms)) = line.split_once(" := ") {
            let forms = forms.split(" | ").map(str::to_owned).collect();
            self.words.insert(name.to_owned(), forms);
            return Ok(());
        }
        let inside = |open, close| line.strip_prefix(open)?.strip_suffix(close);
        let (times, line) = if let Some(line) = inside('[', ']') {
            (Times::AtMostOnce, line)
        } else if let Some(line) = inside('{', '}') {
            (Times::Any, line)
        } else {
            (Times::Once, line)
        };
        let (key, values) = match line.split_once(": ") {
            Some((key, values)) => (format!("{key}: "), values),
            None => (String::new(), line),
        };
        let forms = values.split(" | ").map(|value| format!("{key}{value}"));
        self.lines.push(Line {
            times,
            forms: forms.collect(),
        });
        Ok(())
    }

    /// All ways in which `form` fits the beginning of `text`: what is left, and what was used.
    fn fits<'t>(&self, form: &str, text: &'t str) -> Vec<(&'t str, Vec<Used>)> {
        let Some((literal, rest)) = form.split_once('<') else {
            return match text.strip_prefix(form) {
                Some(left) => vec![(left, Vec::new())],
                None => Vec::new(),
            };
        };
        let Some(text) = text.strip_prefix(literal) else {
            return Vec::new();
        };
        let Some((name, rest)) = rest.split_once('>') else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (left, used) in self.word(&format!("<{name}>"), text) {
            for (left, more) in self.fits(rest, left) {
                found.push((left, [used.clone(), more].concat()));
            }
        }
        found
    }

    fn word<'t>(&self, name: &str, text: &'t str) -> Vec<(&'t str, Vec<Used>)> {
        if let Some(forms) = self.words.get(name) {
            let of = |form: &String| {
                let used = (name.to_owned(), form.clone());
                let ways = self.fits(form, text).into_iter();
                ways.map(|(left, more)| (left, [vec![used.clone()], more].concat()))
                    .collect::<Vec<_>>()
            };
            return forms.iter().flat_map(of).collect();
        }
        match primitive(name, text) {
            Some(length) if length > 0 => vec![(&text[length..], Vec::new())],
            _ => Vec::new(),
        }
    }

    /// What of `line` is used by `text`, if it fits.
    fn line(&self, number: usize, line: &Line, text: &str) -> Option<Vec<Used>> {
        line.forms.iter().find_map(|form| {
            let ways = self.fits(form, text).into_iter();
            let whole = ways.filter(|(left, _)| left.is_empty());
            let used = (number.to_string(), form.clone());
            whole
                .map(|(_, more)| [vec![used.clone()], more].concat())
                .next()
        })
    }

    /// Holds the content of a file against the rules; returns what it used of them.
    fn read(&self, text: &str) -> Result<Vec<Used>> {
        let mut used = Vec::new();
        let mut rules = self.lines.iter().enumerate().peekable();
        for text in text.lines() {
            loop {
                let Some(&(number, line)) = rules.peek() else {
                    bail!("this line is not documented, or not here: {text:?}");
                };
                let fits = self.line(number, line, text.trim_end());
                if fits.is_none() || line.times != Times::Any {
                    rules.next();
                }
                match fits {
                    Some(more) => {
                        used.extend(more);
                        break;
                    }
                    None => ensure!(
                        line.times != Times::Once,
                        "expected {:?}, got {text:?}",
                        line.forms
                    ),
                }
            }
        }
        let missing = rules.find(|(_, line)| line.times == Times::Once);
        ensure!(missing.is_none(), "this line is missing: {missing:?}");
        Ok(used)
    }

    /// All forms there are, of lines and of words.
    fn all(&self) -> BTreeSet<Used> {
        let lines = self.lines.iter().enumerate();
        let lines = lines.flat_map(|(number, line)| {
            let forms = line.forms.iter();
            forms.map(move |form| (number.to_string(), form.clone()))
        });
        let words = self.words.iter().flat_map(|(name, forms)| {
            let forms = forms.iter();
            forms.map(move |form| (name.clone(), form.clone()))
        });
        lines.chain(words).collect()
    }
}

/// The lines of the indented block after `title`, without their indent.
fn block<'t>(text: &'t str, title: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|line| line.trim() != title);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(outer) = lines.next().map(indent) else {
        return Vec::new();
    };
    let mut found: Vec<&str> = Vec::new();
    let mut inner = None;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        if indent(line) <= outer {
            break;
        }
        let inner = *inner.get_or_insert(indent(line));
        found.push(&line[inner.min(indent(line))..]);
    }
    found
}

/// How much of `text` a word fits that needs no rule.
fn primitive(name: &str, text: &str) -> Option<usize> {
    let count = |text: &str, is: fn(&char) -> bool| text.chars().take_while(is).count();
    let decimal = count(text, char::is_ascii_digit);
    let is_hex = |c: &char| matches!(c, '0'..='9' | 'a'..='f');
    match name {
        "<decimal>" => Some(decimal),
        "<hex>" => match count(text.strip_prefix("0x")?, is_hex) {
            0 => None,
            digits => Some(2 + digits),
        },
        "<seconds>" => {
            let decimals = count(text[decimal..].strip_prefix('.')?, char::is_ascii_digit);
            (decimals == 6).then_some(decimal + 1 + decimals)
        }
        "<offset>" => (count(text, is_hex) == 8).then_some(8),
        "<bytes>" => {
            let is_byte = |byte: &str| byte.len() == 2 && byte.chars().all(|c| is_hex(&c));
            let bytes: Vec<&str> = text.split(' ').collect();
            (bytes.len() <= 16 && bytes.into_iter().all(is_byte)).then_some(text.len())
        }
        "<device>" => Some(count(text, |c| !c.is_whitespace())),
        "<name>" => Some(count(text, |c| matches!(c, 'a'..='z' | '_'))),
        _ => None,
    }
}

/// The files that a text of `Documentation/ABI/testing/` has rules for, by name.
pub fn parse(text: &str) -> Result<BTreeMap<String, Rules>> {
    let mut files = BTreeMap::new();
    for entry in text.split("What:").skip(1) {
        let (path, description) = entry.split_once('\n').context("an entry of one line")?;
        let path = path.trim();
        let rules = Rules::parse(description).with_context(|| format!("{path} in the ABI"))?;
        let name = path.rsplit('/').next().unwrap_or_default();
        if !rules.lines.is_empty() {
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
            ensure!(!rules.lines.is_empty(), "{name} has no format");
            Ok((name, rules))
        })
        .collect()
}

/// What was seen of files that have rules.
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

    /// What is documented and was not seen: `<file> <form>` or `<file> <errno>`.
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
