// SPDX-License-Identifier: GPL-2.0

//! What a command returns.

use serde::Serialize;
use serde_json::Value;

/// How the program ends. The numbers are part of its interface; `Documentation/admin-guide/
/// vfio-mig.rst` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// There is an answer, and it is a good one.
    Good = 0,
    /// There is an answer, and it is a bad one: a check fails, two sides do not fit, data are
    /// wrong, a migration has failed.
    Bad = 1,
    // 2 is clap's, for wrong arguments.
    /// There is no answer: something is missing or cannot be read.
    NoAnswer = 3,
}

/// An answer as JSON: `command` and `version` tell its schema.
#[derive(Serialize)]
struct Envelope<'a, T> {
    command: &'a str,
    version: u32,
    #[serde(flatten)]
    answer: &'a T,
}

/// Version of the schemas. It changes when a reader of the former one would fail.
pub const VERSION: u32 = 1;

/// The answer of a command as a JSON object.
///
/// # Errors
///
/// If it cannot be serialized.
pub fn json(command: &str, answer: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::to_value(Envelope {
        command,
        version: VERSION,
        answer,
    })
}

/// What is printed, and how the program ends.
#[derive(Debug)]
pub struct Answer {
    /// All that goes to standard output.
    pub text: String,
    /// The exit code.
    pub exit: Exit,
}

impl Answer {
    /// The text of `answer`, or its JSON if that is wanted.
    ///
    /// # Errors
    ///
    /// If it cannot be serialized.
    pub fn new<T: Serialize>(
        as_json: bool,
        command: &str,
        answer: &T,
        text: impl FnOnce(&T) -> String,
        exit: Exit,
    ) -> anyhow::Result<Self> {
        let text = if as_json {
            format!("{:#}\n", json(command, answer)?)
        } else {
            text(answer)
        };
        Ok(Answer { text, exit })
    }
}
