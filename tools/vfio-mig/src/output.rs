// SPDX-License-Identifier: GPL-2.0

//! Prints answers and errors. A reader that goes away ends the program without a complaint.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::answer::{Answer, Exit};

/// Writes text to standard output. Colours are left out if it is not a terminal, or if the
/// environment has `NO_COLOR`. Returns whether anybody still reads.
///
/// # Errors
///
/// If the text cannot be written and the reader has not gone away.
pub fn print(text: &str) -> io::Result<bool> {
    let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}

/// Prints the answer of a command, or the error for which there is none.
pub fn finish(result: Result<Answer>) -> ExitCode {
    let result = result.and_then(|answer| {
        print(&answer.text)?;
        Ok(answer.exit)
    });
    let exit = result.unwrap_or_else(|error| {
        // Nobody can be told if this fails.
        let _ = writeln!(io::stderr(), "vfio-mig: {error:#}");
        Exit::NoAnswer
    });
    ExitCode::from(exit as u8)
}
