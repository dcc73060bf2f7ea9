// SPDX-License-Identifier: GPL-2.0

//! The notation that `debugfs-hisi-acc-vfio-rs` explains: rules of what a file can say, and what of
//! them a text uses.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

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
    pub(super) mode: Option<u64>,
    lines: Vec<Line>,
    /// The forms that a word in `<>` stands for.
    words: BTreeMap<String, Vec<String>>,
    pub(super) errors: BTreeSet<String>,
    /// The fields of a trace event, as it declares them.
    pub(super) fields: Vec<String>,
}

/// A form that was used: the word that it is of, or the line's number, and the form.
pub(super) type Used = (String, String);

impl Rules {
    /// Reads the description of one file.
    pub(super) fn parse(text: &str) -> Result<Self> {
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

    pub(super) fn has_no_format(&self) -> bool {
        self.lines.is_empty()
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

    /// The part of `line` that `text` matches, if it fits.
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
    pub(super) fn read(&self, text: &str) -> Result<Vec<Used>> {
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
    pub(super) fn all(&self) -> BTreeSet<Used> {
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
        "<device>" | "<comm>" => Some(count(text, |c| !c.is_whitespace())),
        "<name>" => Some(count(text, |c| matches!(c, 'a'..='z' | '0'..='9' | '_'))),
        _ => None,
    }
}
