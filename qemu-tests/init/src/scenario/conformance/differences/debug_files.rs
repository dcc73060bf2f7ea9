// SPDX-License-Identifier: GPL-2.0

//! Debug files.

use rustix::io::Errno;

use super::dump::{differ_in, dump};
use super::{Case, is_text};
use crate::scenario::conformance::observation::Value;
use crate::scenario::conformance::step::DebugFile;
use crate::scenario::conformance::stream::Field;
use crate::scenario::support::stream_layout::MATCH_SIZE;

/// D-30: errors of debug files that say nothing.
pub(super) fn closed_file(case: &Case<'_>) -> bool {
    match case.debug_file() {
        Some(DebugFile::DevData | DebugFile::CmdState) => {
            case.c.state.is_none() && case.answers(Errno::INVAL, Errno::NODEV)
        }
        Some(DebugFile::MigfData) => case.answers(Errno::AGAIN, Errno::NODATA),
        _ => false,
    }
}

/// D-30: without a driver in the VM the C driver shows nothing.
pub(super) fn not_ready(case: &Case<'_>) -> bool {
    matches!(
        case.debug_file(),
        Some(DebugFile::DevData | DebugFile::CmdState)
    ) && case.c.answer == Err(Errno::TIMEDOUT)
        && case.c.register("VF_STATE") == Some(1)
}

/// D-31: reading `dev_data` gives commands.
pub(super) fn dev_data_mailbox(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::DevData)
        && (case.history.fault.fails("sqc-bt") || case.history.fault.fails("cqc-bt"))
        && matches!(case.c.answer, Err(Errno::IO | Errno::TIMEDOUT))
        && is_text(&case.ours.answer)
}

/// D-32, D-33: the C driver's `dev_data` has no match data, and tells what the last migration has
/// found.
pub(super) fn dev_data(case: &Case<'_>) -> bool {
    if case.debug_file() != Some(DebugFile::DevData) {
        return false;
    }
    let (Some((c, c_rest)), Some((ours, our_rest))) = (
        dump(&case.c.answer, "Dev Data:"),
        dump(&case.ours.answer, "Dev Data:"),
    ) else {
        return false;
    };
    let size = |rest: &[&str]| rest.get(1).map(|line| line.to_string());
    // The queue goes on in ours where it does not with the C driver (D-16b).
    let head: &[Field] = if case.history.stopped {
        &[Field::EqcHead]
    } else {
        &[]
    };
    c.len() > MATCH_SIZE
        && ours.len() > MATCH_SIZE
        && differ_in(&c[MATCH_SIZE..], &ours[MATCH_SIZE..], MATCH_SIZE, head)
        && c_rest.len() == 2
        && our_rest.first() == Some(&"guest driver load: 1")
        && size(&c_rest) == size(&our_rest)
}

/// D-33: `migf_data` of the C driver has data of the last owner, and none after a session without
/// data.
pub(super) fn last_owner(case: &Case<'_>) -> bool {
    if case.debug_file() != Some(DebugFile::MigfData) {
        return false;
    }
    match (&case.c.answer, &case.ours.answer) {
        (Ok(_), Err(Errno::NODATA)) => true,
        (Err(Errno::AGAIN), Ok(_)) => case.history.sessions > 1 || case.history.untouched,
        (Ok(_), Ok(_)) => case.history.untouched,
        _ => false,
    }
}

/// D-34: `cmd_state` of the C driver looks at no bit of what it has read.
pub(super) fn cmd_state(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::CmdState)
        && is_text(&case.c.answer)
        && matches!(case.ours.answer, Err(Errno::IO | Errno::BUSY))
}

/// D-35: with the C driver a device that is not open is in the state that it was in last.
pub(super) fn closed_state(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::State)
        && case.c.state.is_none()
        && case.ours.answer == Ok(Value::Text("RUNNING\n".into()))
}
