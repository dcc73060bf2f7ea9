// SPDX-License-Identifier: GPL-2.0

//! Why a stream was refused.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hisi::match_data;
use crate::words::{Result, decimal, hex, no};

/// The first field that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Its name, as in `match` and in the stream.
    pub field: String,
    /// What this device requires, or the largest value that is allowed.
    pub expected: u64,
    /// What the stream had.
    pub got: u64,
}

impl Refusal {
    /// Reads `<field>:<hex>:<hex>`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [field, expected, got] = parts[..] else {
            return Err(no("refusal", text));
        };
        Ok(Refusal {
            field: field.to_owned(),
            expected: hex(expected)?,
            got: hex(got)?,
        })
    }

    /// Reads `session <decimal>, <field> expected <hex> got <hex>`.
    pub(super) fn parse_with_session(text: &str) -> Result<(u64, Self)> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["session", session, field, "expected", expected, "got", got] = words[..] else {
            return Err(no("refusal", text));
        };
        let session = session
            .strip_suffix(',')
            .ok_or_else(|| no("refusal", text))?;
        let refusal = Refusal {
            field: field.to_owned(),
            expected: hex(expected)?,
            got: hex(got)?,
        };
        Ok((decimal(session)?, refusal))
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at_most = match self.field.as_str() {
            "vf_state" | "page_size" => "at most ",
            _ => "",
        };
        write!(
            f,
            "{}: this VF needs {at_most}{}, the stream had {}",
            self.field,
            match_data::text(&self.field, self.expected),
            match_data::text(&self.field, self.got)
        )
    }
}
