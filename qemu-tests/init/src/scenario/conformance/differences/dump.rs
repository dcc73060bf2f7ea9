// SPDX-License-Identifier: GPL-2.0

//! Dumps in debug files, and streams that are almost the same.

use super::Case;
use crate::scenario::conformance::observation::{Answer, Value};
use crate::scenario::conformance::step::DebugFile;
use crate::scenario::conformance::stream::Field;

/// The bytes and the last lines of a dump.
type Dump<'t> = (Vec<&'t str>, Vec<&'t str>);

pub(super) fn dump<'t>(answer: &'t Answer, prefix: &str) -> Option<Dump<'t>> {
    let Ok(Value::Text(text)) = answer else {
        return None;
    };
    let (dumped, rest): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with(prefix));
    let bytes = dumped.iter().flat_map(|line| {
        let (_, bytes) = line.split_once(": ").unwrap_or_default();
        bytes.split(' ')
    });
    Some((bytes.collect(), rest))
}

/// The dumps of the last session, by the C driver and ours.
pub(super) fn dumps_of_session<'a>(case: &Case<'a>) -> Option<(Dump<'a>, Dump<'a>)> {
    if case.debug_file() != Some(DebugFile::MigfData) {
        return None;
    }
    dump(&case.c.answer, "Mig Data:").zip(dump(&case.ours.answer, "Mig Data:"))
}

/// The number of bytes that the session had, of the last lines of its dump.
pub(super) fn length(rest: &[&str]) -> Option<usize> {
    let [line] = rest else {
        return None;
    };
    line.strip_prefix("migrate data length: ")?.parse().ok()
}

/// Whether two streams of bytes differ in these fields only.
pub(super) fn differ_in<T: PartialEq>(
    one: &[T],
    other: &[T],
    start: usize,
    fields: &[Field],
) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).enumerate().all(|(n, (one, other))| {
            one == other
                || fields
                    .iter()
                    .any(|field| field.bytes().contains(&(start + n)))
        })
}
