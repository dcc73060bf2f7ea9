// SPDX-License-Identifier: GPL-2.0

//! From a sequence that fails to one that has nothing in it but what makes it fail.

use anyhow::Result;

use super::differences::DIFFERENCES;
use super::pair::{DifferenceCounts, Pair, Unlisted};
use super::step::Step;

/// Takes steps away, many at once and then one by one, as long as the same thing differs after
/// the same kind of step. Calls `begins` before each try.
pub(super) fn shrink(
    pair: &mut Pair,
    mut steps: Vec<Step>,
    mut found: Unlisted,
    begins: impl Fn(),
) -> Result<(Vec<Step>, Unlisted)> {
    // What comes after it has no part in it. The last look of all is no step of the sequence.
    steps.truncate(found.step + 1);
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            let mut counts: DifferenceCounts = [0; DIFFERENCES.len()];
            begins();
            match pair.run(&fewer, &mut counts)? {
                Some(again) if again.is_like(&found) => {
                    fewer.truncate(again.step + 1);
                    steps = fewer;
                    found = again;
                }
                _ => at += size,
            }
        }
        size /= 2;
    }
    Ok((steps, found))
}
