// SPDX-License-Identifier: GPL-2.0

//! Streams that are loaded.

use rustix::io::Errno;
use vfio_client::State;

use super::Case;
use super::dump::{dumps_of_session, length};
use crate::scenario::conformance::history::Resuming;
use crate::scenario::conformance::observation::Aspect;
use crate::scenario::conformance::step::{DebugFile, Fault, Step, Which};
use crate::scenario::conformance::stream::{Field, is_version_1};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

/// D-7: the C driver goes on with a stream that did not fit.
pub(super) fn refused_yet_loaded(case: &Case<'_>) -> bool {
    let refused = |resuming: &Resuming| resuming.refused;
    match case.step {
        // It takes what there is room for, even if it says that it does not fit.
        Step::Write {
            which: Which::Newest,
            ..
        }
        | Step::WriteFromNowhere(Which::Newest, 0) => {
            let taken = case.c_ok() || matches!(case.c.answer, Err(Errno::FAULT | Errno::NOMEM));
            case.aspect == Aspect::Answer
                && case.history.resuming.as_ref().is_some_and(refused)
                && taken
                && case.ours.answer == Err(Errno::INVAL)
        }
        Step::SetState(_) => case.loads().is_some_and(refused) && loaded_by_c_only(case),
        Step::Debug(DebugFile::MigfData) => case.history.refused && has_more_of_session(case),
        _ => false,
    }
}

/// What the C driver has loaded, or tried to, stays out of the hardware with ours, which goes on
/// with the session.
fn loaded_by_c_only(case: &Case<'_>) -> bool {
    let left = case.c.state != Some(Ok(State::Resuming));
    let tried = case.history.fault.fails("sqc-bt") || case.history.fault.fails("cqc-bt");
    (left || tried)
        && case.ours.answer == Err(Errno::INVAL)
        && case.ours.state == Some(Ok(State::Resuming))
        && case.aspect != Aspect::Openness
}

/// The C driver's dump begins as ours does, and has what was written afterwards.
fn has_more_of_session(case: &Case<'_>) -> bool {
    let Some(((c, c_rest), (ours, our_rest))) = dumps_of_session(case) else {
        return false;
    };
    let (Some(c_length), Some(our_length)) = (length(&c_rest), length(&our_rest)) else {
        return false;
    };
    // A dump has the first of them.
    let shown = our_length.min(ours.len());
    c_length > our_length && c.get(..shown) == ours.get(..shown)
}

/// D-8: the C driver checks one stream for each time that the device is opened.
pub(super) fn checked_once(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. })
        && case.history.matched
        && case.c_ok()
        && case.ours.answer == Err(Errno::INVAL)
}

/// D-9: the C driver loads numbers that the hardware does not have.
pub(super) fn unbounded(case: &Case<'_>) -> bool {
    case.loads_length(STREAM_SIZE).is_some_and(|stream| {
        let above = |field: Field, limit| field.of(stream).is_some_and(|value| value > limit);
        loaded_by_c_only(case)
            && (above(Field::VfState, 1) || above(Field::PageSize, 2) || above(Field::IfcIntSet, 0))
    })
}

/// D-10: a stream of ours that promised more is cut off, which the C driver cannot see.
pub(super) fn cut_off(case: &Case<'_>) -> bool {
    case.loads_length(MATCH_SIZE).is_some_and(|stream| {
        loaded_by_c_only(case) && !is_version_1(stream) && Field::promises(stream)
    })
}

/// D-11: the C driver makes the addresses of a version 1 stream before all of it is there.
pub(super) fn version_1_in_pieces(case: &Case<'_>) -> bool {
    let fails = |command| case.history.fault.fails(command);
    let ours = match case.ours.answer {
        Ok(_) => case.image_differs(),
        // What the C driver does not try cannot fail.
        Err(_) => fails("sqc-bt") || fails("cqc-bt"),
    };
    ours && case.c_ok()
        && case.loads_length(STREAM_SIZE).is_some_and(|stream| {
            let none = |field: Field| field.of(stream) == Some(0);
            is_version_1(stream) && (none(Field::EqeDma) || none(Field::AeqeDma))
        })
}

/// D-12: every mismatch is EFAULT, and it is found again by a write of nothing.
pub(super) fn errno_of_mismatch(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. } | Step::WriteFromNowhere(_, 0))
        && case.answers(Errno::FAULT, Errno::INVAL)
}

/// D-15: after a load that failed the C driver is in RESUMING, with half of it in the hardware.
pub(super) fn half_loaded(case: &Case<'_>) -> bool {
    let fails = |command| case.history.fault.fails(command);
    case.loads().is_some()
        && case.c.answer.is_err()
        && case.c.answer == case.ours.answer
        && (fails("sqc-bt") || fails("cqc-bt"))
        && case.c.state == Some(Ok(State::Resuming))
        && case.ours.state == Some(Ok(State::Error))
}

/// D-27: the check of a stream needs the mailbox, that by a write of nothing as well.
pub(super) fn check_in_write(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. } | Step::WriteFromNowhere(_, 0))
        && case.history.fault.fails("sqc-vft")
        && case.c.answer == Err(Errno::FAULT)
        && case.ours_ok()
}

/// A stream without a driver is loaded: ours says to the hardware that there is none.
pub(super) fn no_driver_loaded(case: &Case<'_>) -> bool {
    let Some(resuming) = case.loads() else {
        return false;
    };
    let stream = &resuming.written;
    let none = |field: Field| field.of(stream) == Some(0);
    let without = stream.len() == MATCH_SIZE
        || Field::VfState.of(stream) == Some(1)
        || none(Field::EqeDma)
        || none(Field::AeqeDma)
        || none(Field::SqcDma)
        || none(Field::CqcDma);
    let tried = case.c_ok() || case.history.fault != Fault::None;
    tried && case.ours_ok() && without && case.ours.register("VF_STATE") == Some(1)
}
