// SPDX-License-Identifier: GPL-2.0

//! Streams that are saved.

use rustix::io::Errno;
use vfio_client::State;

use super::Case;
use super::dump::{differ_in, dumps_of_session, length};
use crate::scenario::conformance::history::{History, Promise};
use crate::scenario::conformance::observation::Value;
use crate::scenario::conformance::step::{Step, Which};
use crate::scenario::conformance::stream::Field;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

/// Where the streams of the two drivers differ.
const EXTENSION: [Field; 2] = [Field::Private, Field::VfState];

/// D-10: ours has promised the rest and keeps to it, though the driver in the VM has gone. Where
/// the C driver's stream ends, ours goes on with zeros.
pub(super) fn promise(case: &Case<'_>) -> bool {
    let History {
        position,
        our_position,
        ..
    } = *case.history;
    let kept = case.history.promise == Promise::Kept && our_position < STREAM_SIZE;
    match (case.step, &case.c.answer, &case.ours.answer) {
        (Step::Read(Which::Newest, _), Ok(Value::Bytes(c)), Ok(Value::Bytes(ours))) => {
            kept && position + c.len() == MATCH_SIZE
                && ours.split_at_checked(c.len()).is_some_and(|(same, more)| {
                    differ_in(c, same, position, &EXTENSION) && more.iter().all(|byte| *byte == 0)
                })
        }
        (Step::ReadToNowhere(Which::Newest, _), Ok(Value::Number(0)), Err(Errno::FAULT)) => {
            kept && position == MATCH_SIZE
        }
        (Step::Debug(_), ..) => {
            case.history.promised && zeros_behind_head(case, [MATCH_SIZE, STREAM_SIZE])
        }
        _ => false,
    }
}

/// D-14: the C driver reads the PF's table for a stream, and says EINVAL if it cannot.
pub(super) fn table_of_queues(case: &Case<'_>) -> bool {
    matches!(case.step, Step::SetState(_))
        && case.history.table_stuck
        && case.c.answer == Err(Errno::INVAL)
        && case.ours_ok()
}

/// D-29: the C driver says that the stream is over where it goes on later.
pub(super) fn end_of_pre_copy(case: &Case<'_>) -> bool {
    let nothing = match (case.step, &case.c.answer) {
        (Step::Read(..), Ok(Value::Bytes(bytes))) => bytes.is_empty(),
        (Step::ReadToNowhere(..), Ok(Value::Number(count))) => *count == 0,
        _ => false,
    };
    nothing && case.ours.answer == Err(Errno::NOMSG) && case.c.state == Some(Ok(State::PreCopy))
}

/// Ours has an extension where the C driver sends zeros. What is sent ahead has no state of the
/// driver.
pub(super) fn stream_extension(case: &Case<'_>) -> bool {
    match case.step {
        Step::Read(Which::Newest, _) => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Bytes(c)), Ok(Value::Bytes(ours)))
                if differ_in(c, ours, case.history.position, &EXTENSION)
        ),
        _ => matches!(dumps_of_session(case), Some(((c, c_rest), (ours, our_rest)))
            if c_rest == our_rest && differ_in(&c, &ours, 0, &EXTENSION)),
    }
}

/// D-33: the C driver's dump does not end where the data end, and shows what a save had read when
/// it failed.
pub(super) fn half_saved(case: &Case<'_>) -> bool {
    case.history.half_saved && zeros_behind_head(case, [MATCH_SIZE, MATCH_SIZE])
}

/// The dumps of sessions of these lengths have the same head, and in ours there are zeros behind
/// it.
fn zeros_behind_head(case: &Case<'_>, lengths: [usize; 2]) -> bool {
    let Some(((c, c_rest), (ours, our_rest))) = dumps_of_session(case) else {
        return false;
    };
    let (Some((c, _)), Some((ours, behind))) = (
        c.split_at_checked(MATCH_SIZE),
        ours.split_at_checked(MATCH_SIZE),
    ) else {
        return false;
    };
    [length(&c_rest), length(&our_rest)] == lengths.map(Some)
        && differ_in(c, ours, 0, &EXTENSION)
        && behind.iter().all(|byte| *byte == "00")
}
