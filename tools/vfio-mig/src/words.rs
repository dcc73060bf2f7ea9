// SPDX-License-Identifier: GPL-2.0

//! Pieces of the lines of debug files.

use std::str::FromStr;

/// A line that is not as the ABI describes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

pub(crate) type Result<T> = std::result::Result<T, ParseError>;

/// The error that `text` is not `what`.
pub(crate) fn no(what: &str, text: &str) -> ParseError {
    ParseError(format!("{text:?} is no {what}"))
}

/// A decimal number.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| no("number", text))
}

/// A number with 0x in front.
pub(crate) fn hex(text: &str) -> Result<u64> {
    let digits = text.strip_prefix("0x").filter(|d| !d.starts_with('+'));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| no("number with 0x", text))
}

/// Seconds since 1970 with six decimals, as microseconds.
pub(crate) fn time(text: &str) -> Result<u64> {
    let parts = text.split_once('.').filter(|(_, micros)| micros.len() == 6);
    let (seconds, micros) = parts.ok_or_else(|| no("time", text))?;
    let (seconds, micros): (u64, u64) = (decimal(seconds)?, decimal(micros)?);
    let all = seconds.checked_mul(1_000_000);
    all.and_then(|all| all.checked_add(micros))
        .ok_or_else(|| no("time", text))
}

/// The value, or nothing if the text is `absent`.
pub(crate) fn unless<T>(
    absent: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T>,
) -> Result<Option<T>> {
    if text == absent {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

/// `yes` or `no`.
pub(crate) fn yes_no(text: &str) -> Result<bool> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(no("yes and no", text)),
    }
}

/// The words `key=value` of a line.
pub(crate) struct Words<'l>(Vec<(&'l str, &'l str)>);

impl<'l> Words<'l> {
    pub(crate) fn of(line: &'l str) -> Result<Self> {
        line.split_whitespace()
            .map(|word| word.split_once('=').ok_or_else(|| no("key=value", word)))
            .collect::<Result<_>>()
            .map(Words)
    }

    pub(crate) fn find(&self, key: &str) -> Option<&'l str> {
        let found = self.0.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value)
    }

    pub(crate) fn get(&self, key: &str) -> Result<&'l str> {
        self.find(key)
            .ok_or_else(|| ParseError(format!("there is no {key}=")))
    }
}
