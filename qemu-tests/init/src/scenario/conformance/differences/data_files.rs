// SPDX-License-Identifier: GPL-2.0

//! Operations on a data file, whatever is in it.

use rustix::io::Errno;
use vfio_client::State;

use super::Case;
use crate::scenario::conformance::observation::Value;
use crate::scenario::conformance::step::Step;
use crate::scenario::support::stream_layout::MATCH_SIZE;

/// Of a session that is over ours says that it is not in PRE_COPY, and the C driver, while another
/// one is or was when the device was closed (D-35), that it is over.
pub(super) fn ended_precopy_info(case: &Case<'_>) -> bool {
    matches!(case.step, Step::PrecopyInfo { .. })
        && case.answers(Errno::NODEV, Errno::INVAL)
        && matches!(case.c.state, None | Some(Ok(State::PreCopy)))
}

/// The flags that the uAPI reserves come back from the C driver, and from ours they are 0.
pub(super) fn precopy_flags(case: &Case<'_>) -> bool {
    matches!(case.step, Step::PrecopyInfo { .. })
        && matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                if c[1..] == ours[1..] && ours[0] == 0
        )
}

/// Of two things that are wrong with a write the drivers find one or the other first.
pub(super) fn order_of_checks(case: &Case<'_>) -> bool {
    match case.step {
        Step::WriteFromNowhere(..) => {
            case.answers(Errno::NODEV, Errno::FAULT) || case.answers(Errno::NOMEM, Errno::FAULT)
        }
        Step::Write { .. } => case.answers(Errno::NOMEM, Errno::NODEV),
        _ => false,
    }
}

/// The C driver has no poll, so that its files can always be read and written. Ours says what the
/// uAPI has: nothing to read at the end of what there is in PRE_COPY; something to read at all
/// other times, also the end; and of a session that is over that no more will come.
pub(super) fn poll(case: &Case<'_>) -> bool {
    const OVER: u64 = Errno::NODEV.raw_os_error() as u64;
    let (Step::Poll(_), Ok(Value::Numbers(c)), Ok(Value::Numbers(ours))) =
        (case.step, &case.c.answer, &case.ours.answer)
    else {
        return false;
    };
    let at_the_end =
        case.c.state == Some(Ok(State::PreCopy)) && case.history.position >= MATCH_SIZE;
    let (expected, read) = match c[3] {
        0 if at_the_end => ([0, 0, 0], 0),
        0 => ([1, 0, 0], 0),
        OVER => ([1, 0, 1], OVER),
        _ => return false,
    };
    c[..3] == [1, 1, 0] && ours[..3] == expected && ours[3] == read
}
