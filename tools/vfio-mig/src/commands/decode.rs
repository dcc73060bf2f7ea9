// SPDX-License-Identifier: GPL-2.0

//! `decode`: migration data, field by field, and the requests of `history`.

use std::path::Path;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::commands::show;
use crate::hisi::image::Decoded;
use crate::migration_data::{decode, read};
use crate::request::{Outcome, Request};
use crate::{style, table};

/// The requests in `history`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Oldest first.
    pub history: Vec<Request>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Decode {
    /// Of migration data.
    Data(Decoded),
    /// Of the file `history` of VFIO core.
    History(History),
}

impl Decode {
    /// Decodes whichever it is.
    ///
    /// # Errors
    ///
    /// If it is neither, or has a line that does not belong there.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) if Request::is_file(text) => {
                let history = Request::parse_all(text)?;
                Ok(Decode::History(History { history }))
            }
            _ => decode(bytes).map(Decode::Data),
        }
    }

    fn is_good(&self) -> bool {
        match self {
            Decode::Data(decoded) => decoded.all_problems().is_empty(),
            Decode::History(History { history }) => {
                let mut outcomes = history.iter().map(Request::outcome);
                outcomes.all(|outcome| outcome == Outcome::Succeeded)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Decode::Data(decoded) => text(decoded),
            Decode::History(History { history }) => history
                .iter()
                .map(|request| {
                    let (name, value) = show::request(request);
                    format!("{name}: {value}\n")
                })
                .collect(),
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// If the file cannot be read or is neither `history` nor a dump nor a stream.
pub fn run(file: &Path, json: bool) -> Result<Answer> {
    let decoded = read(file).and_then(|bytes| Decode::of(&bytes));
    let decoded = decoded.with_context(|| file.display().to_string())?;
    let exit = match decoded.is_good() {
        true => Exit::Good,
        false => Exit::Bad,
    };
    Answer::new(json, "decode", &decoded, Decode::text, exit)
}

fn text(decoded: &Decoded) -> String {
    let rows = decoded.fields.iter().map(|field| {
        let remark = match (&field.problem, &field.meaning) {
            (Some(problem), _) => format!("WRONG: {problem}"),
            (None, meaning) => meaning.clone().unwrap_or_default(),
        };
        [
            format!("{:#04x}", field.offset),
            field.name.clone(),
            field.value.clone().unwrap_or_else(|| "-".to_owned()),
            remark,
        ]
    });
    let rows: String = table::lines(rows)
        .iter()
        .map(|row| match row.contains("  WRONG: ") {
            true => style::bad(row) + "\n",
            false => format!("{row}\n"),
        })
        .collect();
    let shown = match decoded.shown == decoded.length {
        true => String::new(),
        false => format!(", {} of them here", decoded.shown),
    };
    let problems = decoded.all_problems();
    let verdict = match problems.is_empty() {
        true => style::good("nothing is wrong in them") + "\n",
        false => problems
            .iter()
            .map(|p| style::bad(format!("wrong: {p}")) + "\n")
            .collect(),
    };
    format!(
        "{}, {} bytes{shown}\n{rows}{verdict}",
        decoded.summary, decoded.length
    )
}
