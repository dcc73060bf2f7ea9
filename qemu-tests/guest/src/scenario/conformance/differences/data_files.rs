// SPDX-License-Identifier: GPL-2.0

//! What is asked of a data file, whatever is in it.

use rustix::io::Errno;

use super::Case;
use crate::scenario::conformance::observation::Value;
use crate::scenario::conformance::step::Step;
use crate::vfio::State;

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
