// SPDX-License-Identifier: GPL-2.0

//! Where the two drivers differ, and why.
//!
//! Each is as narrow as its cause allows. What none of them covers is a fault of one of the drivers
//! or of this list. `Documentation/conformance.rst` has the reasons in full.

use rustix::io::Errno;

use super::observation::{Answer, Aspect, Observation, Value};
use super::past::{Past, Promise, Resuming};
use super::step::{DebugFile, Fault, Step, Which};
use super::stream::{Field, is_version_1};
use crate::scenario::transfer::{MATCH_SIZE, STREAM_SIZE};
use crate::vfio::State;

/// One thing that is not the same after a step.
pub(super) struct Case<'a> {
    pub(super) past: &'a Past,
    pub(super) step: &'a Step,
    pub(super) aspect: Aspect,
    pub(super) c: &'a Observation,
    pub(super) ours: &'a Observation,
}

/// A difference that is known.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) covers: fn(&Case<'_>) -> bool,
}

macro_rules! differences {
    ($($name:literal: $covers:path,)*) => {
        pub(super) const DIFFERENCES: [Difference; [$($name),*].len()] = [
            $(Difference { name: $name, covers: $covers }),*
        ];
    };
}

differences! {
    "p2p-states": p2p_states,
    "d7-refused-yet-loaded": refused_yet_loaded,
    "d8-checked-once": checked_once,
    "d9-unbounded": unbounded,
    "d10-cut-off": cut_off,
    "d10-promise": promise,
    "d11-version-1-in-pieces": version_1_in_pieces,
    "d12-errno": errno_of_mismatch,
    "d14-table": table_of_queues,
    "d15-half-loaded": half_loaded,
    "d16-failed-stop": failed_stop,
    "d16b-no-restart": no_restart,
    "d20-ioeventfd": ioeventfd,
    "d27-check-in-write": check_in_write,
    "d29-end-of-pre-copy": end_of_pre_copy,
    "d30-closed": closed_file,
    "d30-not-ready": not_ready,
    "d31-dev-data-mailbox": dev_data_mailbox,
    "d32-d33-dev-data": dev_data,
    "d33-last-owner": last_owner,
    "d34-cmd-state": cmd_state,
    "d35-closed-state": closed_state,
    "queues-at-open": queues_at_open,
    "stream-extension": stream_extension,
    "no-driver-loaded": no_driver_loaded,
    "messages-kept": messages_kept,
    "ended-precopy-info": ended_precopy_info,
    "precopy-flags": precopy_flags,
    "order-of-checks": order_of_checks,
}

impl Case<'_> {
    fn c_ok(&self) -> bool {
        self.c.answer.is_ok()
    }

    fn ours_ok(&self) -> bool {
        self.ours.answer.is_ok()
    }

    fn answers(&self, c: Errno, ours: Errno) -> bool {
        self.aspect == Aspect::Answer && self.c.answer == Err(c) && self.ours.answer == Err(ours)
    }

    /// The stream that this step loads.
    fn loads(&self) -> Option<&Resuming> {
        let leaves =
            matches!(*self.step, Step::SetState(number) if number != State::Resuming as u32);
        self.past.resuming.as_ref().filter(|_| leaves)
    }

    /// The step loads a stream of this length.
    fn loads_length(&self, length: usize) -> Option<&[u8]> {
        let written = &self.loads()?.written;
        (written.len() == length).then_some(written)
    }

    fn debug_file(&self) -> Option<DebugFile> {
        match self.step {
            Step::Debug(file) if self.aspect == Aspect::Answer => Some(*file),
            _ => None,
        }
    }

    fn image_differs(&self) -> bool {
        matches!(
            self.aspect,
            Aspect::Register(_) | Aspect::EventQueue | Aspect::AbnormalEventQueue
        )
    }
}

fn is_text(answer: &Answer) -> bool {
    matches!(answer, Ok(Value::Text(_)))
}

/// Ours offers the P2P states, and goes through them.
fn p2p_states(case: &Case<'_>) -> bool {
    let p2p = [State::RunningP2p as u32, State::PreCopyP2p as u32];
    match *case.step {
        Step::SetState(number) => p2p.contains(&number) && case.c.answer == Err(Errno::INVAL),
        Step::Features => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                if c[..] == [1, 0, 1] && ours[..] == [1, 1, 1]
        ),
        Step::Feature { flags, .. } => {
            flags & 0xffff == vfio_bindings::bindings::vfio::VFIO_DEVICE_FEATURE_MIGRATION
                && matches!(
                    (&case.c.answer, &case.ours.answer),
                    (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                        if c[..] == [0, 0b101] && ours[..] == [0, 0b111]
                )
        }
        Step::Debug(DebugFile::Features) => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Text(c)), Ok(Value::Text(ours)))
                if *c == "stop-copy\npre-copy\n" && *ours == "stop-copy\np2p\npre-copy\n"
        ),
        _ => false,
    }
}

/// D-7: the C driver goes on with a stream that did not fit.
fn refused_yet_loaded(case: &Case<'_>) -> bool {
    let refused = |resuming: &Resuming| resuming.refused;
    match case.step {
        Step::Write { .. } => {
            case.past.resuming.as_ref().is_some_and(refused)
                && case.ours.answer == Err(Errno::INVAL)
        }
        Step::SetState(_) => {
            case.loads().is_some_and(refused) && case.ours.answer == Err(Errno::INVAL)
        }
        // The C driver's dump has what was written afterwards.
        Step::Debug(DebugFile::MigfData) => {
            case.past.refused && is_text(&case.c.answer) && is_text(&case.ours.answer)
        }
        _ => false,
    }
}

/// D-8: the C driver checks one stream for each time that the device is opened.
fn checked_once(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. })
        && case.past.matched
        && case.c_ok()
        && case.ours.answer == Err(Errno::INVAL)
}

/// D-9: the C driver loads numbers that the hardware does not have.
fn unbounded(case: &Case<'_>) -> bool {
    case.loads_length(STREAM_SIZE).is_some_and(|stream| {
        let above = |field: Field, limit| field.of(stream).is_some_and(|value| value > limit);
        case.ours.answer == Err(Errno::INVAL)
            && (above(Field::VfState, 1) || above(Field::PageSize, 2) || above(Field::IfcIntSet, 0))
    })
}

/// D-10: a stream of ours that promised more is cut off, which the C driver cannot see.
fn cut_off(case: &Case<'_>) -> bool {
    case.loads_length(MATCH_SIZE).is_some_and(|stream| {
        case.ours.answer == Err(Errno::INVAL)
            && !is_version_1(stream)
            && Field::Minor.of(stream) >= Some(1)
            && Field::Follows.of(stream) == Some(2)
    })
}

/// D-10: ours has promised the rest and keeps to it, though the driver in the VM has gone.
fn promise(case: &Case<'_>) -> bool {
    let more = match (&case.c.answer, &case.ours.answer) {
        (Ok(Value::Bytes(c)), Ok(Value::Bytes(ours))) => c.len() < ours.len(),
        (Ok(Value::Number(0)), Err(Errno::FAULT)) => true,
        _ => false,
    };
    match case.step {
        Step::Read(Which::Newest, _) | Step::ReadToNowhere(Which::Newest, _) => {
            more && case.past.promise == Promise::Kept
        }
        Step::Debug(DebugFile::MigfData) => {
            let c = dump(&case.c.answer, "Mig Data:");
            let ours = dump(&case.ours.answer, "Mig Data:");
            case.past.promised
                && matches!((c, ours), (Some((_, c)), Some((_, ours)))
                    if c == ["migrate data length: 40"] && ours == ["migrate data length: 176"])
        }
        _ => false,
    }
}

/// D-11: the C driver makes the addresses of a version 1 stream before all of it is there.
fn version_1_in_pieces(case: &Case<'_>) -> bool {
    let fails = |command| case.past.fault.fails(command);
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
fn errno_of_mismatch(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. } | Step::WriteFromNowhere(_, 0))
        && case.answers(Errno::FAULT, Errno::INVAL)
}

/// D-14: the C driver reads the PF's table for a stream, and says EINVAL if it cannot.
fn table_of_queues(case: &Case<'_>) -> bool {
    matches!(case.step, Step::SetState(_))
        && case.past.table_stuck
        && case.c.answer == Err(Errno::INVAL)
        && case.ours_ok()
}

/// D-15: after a load that failed the C driver is in RESUMING, with half of it in the hardware.
fn half_loaded(case: &Case<'_>) -> bool {
    let fails = |command| case.past.fault.fails(command);
    case.loads().is_some()
        && case.c.answer.is_err()
        && case.c.answer == case.ours.answer
        && (fails("sqc-bt") || fails("cqc-bt"))
        && case.c.state == Some(Ok(State::Resuming))
        && case.ours.state == Some(Ok(State::Error))
}

/// D-16: after a stop that failed the C driver says that a device runs of which nobody knows.
fn failed_stop(case: &Case<'_>) -> bool {
    matches!(case.step, Step::SetState(_))
        && case.c.answer.is_err()
        && case.c.answer == case.ours.answer
        && (case.past.fault == Fault::WriteBackNever
            || matches!(case.past.fault, Fault::MailboxTimeout(_))
                && case.past.fault.fails("pause-qm"))
        && matches!(case.c.state, Some(Ok(State::Running | State::PreCopy)))
        && case.ours.state == Some(Ok(State::Error))
}

/// D-16, D-16b: a device that was stopped does no more work with the C driver.
fn no_restart(case: &Case<'_>) -> bool {
    // A driver that says that it is gone is none for ours, and it is not asked by the C driver.
    let gone = case.ours.register("VF_STATE") == Some(1);
    let fewer = matches!(
        (&case.c.answer, &case.ours.answer),
        (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
            if (c[0] <= ours[0] || gone) && c[1..] == [0, 0] && ours[1..] == [0, 0]
    );
    // What has waited since the stop is done at the start, or a little later, or not.
    let head_differs = matches!((&case.c.image, &case.ours.image),
        (Some(c), Some(ours)) if c.eqc[1..] == ours.eqc[1..]);
    case.past.stopped
        && match case.aspect {
            Aspect::Answer => *case.step == Step::Work && fewer,
            Aspect::EventQueue => head_differs && case.c.state == case.ours.state,
            _ => false,
        }
}

/// D-20: an ioeventfd reaches what is hidden.
fn ioeventfd(case: &Case<'_>) -> bool {
    matches!(*case.step, Step::IoEventFd { offset } if offset >= 0x8000)
        && matches!(case.c.answer, Ok(_) | Err(Errno::EXIST))
        && case.ours.answer == Err(Errno::INVAL)
}

/// D-27: the check of a stream needs the mailbox.
fn check_in_write(case: &Case<'_>) -> bool {
    matches!(case.step, Step::Write { .. })
        && case.past.fault.fails("sqc-vft")
        && case.c.answer == Err(Errno::FAULT)
        && case.ours_ok()
}

/// D-29: the C driver says that the stream is over where it goes on later.
fn end_of_pre_copy(case: &Case<'_>) -> bool {
    let nothing = match (case.step, &case.c.answer) {
        (Step::Read(..), Ok(Value::Bytes(bytes))) => bytes.is_empty(),
        (Step::ReadToNowhere(..), Ok(Value::Number(count))) => *count == 0,
        _ => false,
    };
    nothing && case.ours.answer == Err(Errno::NOMSG) && case.c.state == Some(Ok(State::PreCopy))
}

/// D-30: errors of debug files that say nothing.
fn closed_file(case: &Case<'_>) -> bool {
    match case.debug_file() {
        Some(DebugFile::DevData | DebugFile::CmdState) => {
            case.c.state.is_none() && case.answers(Errno::INVAL, Errno::NODEV)
        }
        Some(DebugFile::MigfData) => case.answers(Errno::AGAIN, Errno::NODATA),
        _ => false,
    }
}

/// D-30: without a driver in the VM there is nothing that the C driver tells.
fn not_ready(case: &Case<'_>) -> bool {
    matches!(
        case.debug_file(),
        Some(DebugFile::DevData | DebugFile::CmdState)
    ) && case.c.answer == Err(Errno::TIMEDOUT)
        && case.c.register("VF_STATE") == Some(1)
}

/// D-31: reading `dev_data` gives commands.
fn dev_data_mailbox(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::DevData)
        && (case.past.fault.fails("sqc-bt") || case.past.fault.fails("cqc-bt"))
        && matches!(case.c.answer, Err(Errno::IO | Errno::TIMEDOUT))
        && is_text(&case.ours.answer)
}

/// The bytes and the last lines of a dump.
fn dump<'t>(answer: &'t Answer, prefix: &str) -> Option<(Vec<&'t str>, Vec<&'t str>)> {
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

/// Whether two streams of bytes differ in these fields only.
fn differ_in<T: PartialEq>(one: &[T], other: &[T], start: usize, fields: &[Field]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).enumerate().all(|(n, (one, other))| {
            one == other
                || fields
                    .iter()
                    .any(|field| field.bytes().contains(&(start + n)))
        })
}

/// D-32, D-33: the C driver's `dev_data` has no match data, and tells what the last migration has
/// found.
fn dev_data(case: &Case<'_>) -> bool {
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
    let head: &[Field] = if case.past.stopped {
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
fn last_owner(case: &Case<'_>) -> bool {
    if case.debug_file() != Some(DebugFile::MigfData) {
        return false;
    }
    match (&case.c.answer, &case.ours.answer) {
        (Ok(_), Err(Errno::NODATA)) => true,
        (Err(Errno::AGAIN), Ok(_)) => case.past.sessions > 1 || case.past.untouched,
        (Ok(_), Ok(_)) => case.past.untouched,
        _ => false,
    }
}

/// D-34: `cmd_state` of the C driver looks at no bit of what it has read.
fn cmd_state(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::CmdState)
        && is_text(&case.c.answer)
        && matches!(case.ours.answer, Err(Errno::IO | Errno::BUSY))
}

/// D-35: with the C driver a device that is not open is in the state that it was in last.
fn closed_state(case: &Case<'_>) -> bool {
    case.debug_file() == Some(DebugFile::State)
        && case.c.state.is_none()
        && case.ours.answer == Ok(Value::Text("RUNNING\n".into()))
}

/// Ours asks the VF for its queues when it is bound, and when it is opened if that failed.
fn queues_at_open(case: &Case<'_>) -> bool {
    *case.step == Step::Open
        && case.past.fault.fails("sqc-vft")
        && case.c.answer == Ok(Value::Done)
        && matches!(case.ours.answer, Err(Errno::IO | Errno::TIMEDOUT))
}

/// Ours says in two fields that the C driver sends as 0 whether more follows. What comes ahead has
/// no state of the driver.
fn stream_extension(case: &Case<'_>) -> bool {
    const FIELDS: [Field; 3] = [Field::Minor, Field::Follows, Field::VfState];
    match case.step {
        Step::Read(Which::Newest, _) => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Bytes(c)), Ok(Value::Bytes(ours)))
                if differ_in(c, ours, case.past.position, &FIELDS)
        ),
        Step::Debug(DebugFile::MigfData) => {
            let (Some((c, c_rest)), Some((ours, our_rest))) = (
                dump(&case.c.answer, "Mig Data:"),
                dump(&case.ours.answer, "Mig Data:"),
            ) else {
                return false;
            };
            c_rest == our_rest && differ_in(&c, &ours, 0, &FIELDS)
        }
        _ => false,
    }
}

/// A stream without a driver is loaded: ours says to the hardware that there is none.
fn no_driver_loaded(case: &Case<'_>) -> bool {
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
    let tried = case.c_ok() || case.past.fault != Fault::None;
    tried && case.ours_ok() && without && case.ours.register("VF_STATE") == Some(1)
}

/// Ours leaves messages of the PF alone when it starts a device.
fn messages_kept(case: &Case<'_>) -> bool {
    const MESSAGES: [&str; 3] = ["IFC_INT_SOURCE", "IFC_INT_MASK", "IFC_INT_STATUS"];
    matches!(case.step, Step::SetState(_))
        && case.past.transferred
        && matches!(case.aspect, Aspect::Register(name)
            if MESSAGES.contains(&name) && case.c.register(name) == Some(0))
}

/// Of a session that is over ours says that it is not in PRE_COPY, and the C driver, while another
/// one is or was when the device was closed (D-35), that it is over.
fn ended_precopy_info(case: &Case<'_>) -> bool {
    matches!(case.step, Step::PrecopyInfo { .. })
        && case.answers(Errno::NODEV, Errno::INVAL)
        && matches!(case.c.state, None | Some(Ok(State::PreCopy)))
}

/// The flags that the uAPI reserves come back from the C driver, and from ours they are 0.
fn precopy_flags(case: &Case<'_>) -> bool {
    matches!(case.step, Step::PrecopyInfo { .. })
        && matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                if c[1..] == ours[1..] && ours[0] == 0
        )
}

/// Of two things that are wrong with a write the drivers find one or the other first.
fn order_of_checks(case: &Case<'_>) -> bool {
    match case.step {
        Step::WriteFromNowhere(..) => {
            case.answers(Errno::NODEV, Errno::FAULT) || case.answers(Errno::NOMEM, Errno::FAULT)
        }
        Step::Write { .. } => case.answers(Errno::NOMEM, Errno::NODEV),
        _ => false,
    }
}
