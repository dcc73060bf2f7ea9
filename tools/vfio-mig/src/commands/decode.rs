// SPDX-License-Identifier: GPL-2.0

//! `decode`: migration data, field by field.

use std::path::Path;

use anyhow::{Context, Result};

use crate::answer::{Answer, Exit};
use crate::hisi::image::Decoded;
use crate::migration_data::{decode, read};
use crate::{style, table};

/// Runs the command.
///
/// # Errors
///
/// If the file cannot be read or is neither a dump nor a stream.
pub fn run(file: &Path, json: bool) -> Result<Answer> {
    let decoded = read(file).and_then(|bytes| decode(&bytes));
    let decoded = decoded.with_context(|| file.display().to_string())?;
    let exit = match decoded.all_problems().is_empty() {
        true => Exit::Good,
        false => Exit::Bad,
    };
    Answer::new(json, "decode", &decoded, text, exit)
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
