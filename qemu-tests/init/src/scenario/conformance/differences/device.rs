// SPDX-License-Identifier: GPL-2.0

//! The device: its states, what stops and starts it, its registers.

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_MASK, VFIO_DEVICE_FEATURE_MIGRATION,
};
use vfio_client::State;

use super::Case;
use crate::host::can_log_dma;
use crate::scenario::conformance::observation::{Aspect, Value};
use crate::scenario::conformance::step::{DebugFile, Fault, Step};

/// Ours offers the P2P states, and goes through them.
pub(super) fn p2p_states(case: &Case<'_>) -> bool {
    let p2p = [State::RunningP2p as u32, State::PreCopyP2p as u32];
    match *case.step {
        Step::SetState(number) => p2p.contains(&number) && case.c.answer == Err(Errno::INVAL),
        Step::Features => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                if c[..] == [1, 0, 1] && ours[..] == [1, 1, 1]
        ),
        Step::Feature { flags, .. } => {
            flags & VFIO_DEVICE_FEATURE_MASK == VFIO_DEVICE_FEATURE_MIGRATION
                && matches!(
                    (&case.c.answer, &case.ours.answer),
                    (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
                        if c[..] == [0, 0b101] && ours[..] == [0, 0b111]
                )
        }
        Step::Debug(DebugFile::Features) => matches!(
            (&case.c.answer, &case.ours.answer),
            (Ok(Value::Text(c)), Ok(Value::Text(ours)))
                if *c == "stop-copy\npre-copy\n" && *ours == features_of_ours()
        ),
        _ => false,
    }
}

/// Our driver's features, as debugfs has them.
fn features_of_ours() -> &'static str {
    if can_log_dma() {
        "stop-copy\np2p\npre-copy\ndirty-tracking\n"
    } else {
        "stop-copy\np2p\npre-copy\n"
    }
}

/// Ours logs DMA, whose features the C driver does not have. `p2p_states` covers their line in
/// debugfs.
pub(super) fn dma_logging(case: &Case<'_>) -> bool {
    let features = [
        VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
    ];
    let of_logging = match case.step {
        Step::Feature { flags, .. } => features.contains(&(flags & VFIO_DEVICE_FEATURE_MASK)),
        _ => false,
    };
    of_logging && case.aspect == Aspect::Answer && case.c.answer == Err(Errno::NOTTY)
}

/// D-16: after a stop that failed the C driver says that a device runs which is paused. Ours does
/// not start it again if the device has reported an error.
pub(super) fn failed_stop(case: &Case<'_>) -> bool {
    matches!(case.step, Step::SetState(_))
        && case.c.answer.is_err()
        && case.c.answer == case.ours.answer
        && (case.history.fault == Fault::WriteBackNever
            || case.history.fault.is_error_of_the_device()
            || matches!(case.history.fault, Fault::Stuck("cache-wb-done", _))
                && case.c.register("CACHE_WB_DONE") != Some(1)
            || matches!(case.history.fault, Fault::MailboxTimeout(_))
                && case.history.fault.fails("pause-qm"))
        && matches!(case.c.state, Some(Ok(State::Running | State::PreCopy)))
        && case.ours.state == Some(Ok(State::Error))
}

/// D-16, D-16b: a device that was stopped does no more work with the C driver.
pub(super) fn no_restart(case: &Case<'_>) -> bool {
    // A driver that says that it is gone is none for ours, and it is not asked by the C driver.
    let gone = case.ours.register("VF_STATE") == Some(1);
    let fewer = matches!(
        (&case.c.answer, &case.ours.answer),
        (Ok(Value::Numbers(c)), Ok(Value::Numbers(ours)))
            if (c[0] <= ours[0] || gone) && c[1..] == [0, 0] && ours[1..] == [0, 0]
    );
    let (Some(c), Some(ours)) = (&case.c.image, &case.ours.image) else {
        return false;
    };
    let heads_alone = |c: &[u32], ours: &[u32]| c[1..] == ours[1..];
    case.history.stopped
        && match case.aspect {
            Aspect::Answer => *case.step == Step::Work && fewer,
            // What has waited since the stop is done at the start, or a little later, or not.
            Aspect::EventQueue => heads_alone(&c.eqc, &ours.eqc) && case.c.state == case.ours.state,
            // An event queue that was loaded as it was at another time overflows when the VM's
            // driver takes events that are not in it: with who works, not with who does not.
            Aspect::AbnormalEventQueue => {
                *case.step == Step::Work
                    && case.history.loaded
                    && heads_alone(&c.eqc, &ours.eqc)
                    && c.eqc[0] != ours.eqc[0]
                    && heads_alone(&c.aeqc, &ours.aeqc)
                    && (c.aeqc[0] < ours.aeqc[0] || gone)
                    && case.c.state == case.ours.state
            }
            _ => false,
        }
}

/// D-20: an ioeventfd reaches what is hidden.
pub(super) fn ioeventfd(case: &Case<'_>) -> bool {
    matches!(*case.step, Step::IoEventFd { offset } if offset >= 0x8000)
        && matches!(case.c.answer, Ok(_) | Err(Errno::EXIST))
        && case.ours.answer == Err(Errno::INVAL)
}

/// Ours asks the VF for its queues when it is bound; if that failed, when it is opened, and when it
/// is stopped. A VF that has not answered cannot be migrated.
pub(super) fn queues_unknown(case: &Case<'_>) -> bool {
    case.history.unidentified
        && match case.step {
            Step::SetState(_) => matches!(case.ours.answer, Err(Errno::IO | Errno::TIMEDOUT)),
            Step::Debug(DebugFile::DevData) => case.ours.answer == Err(Errno::NODATA),
            _ => false,
        }
}

/// Ours refuses to begin a migration while a stop would fail, so that the VM goes on.
pub(super) fn refused_in_pre_copy(case: &Case<'_>) -> bool {
    let busy = case.history.fault.is_error_of_the_device()
        || matches!(case.history.fault, Fault::Stuck("ifc-int-set", Some(1)))
        || case.c.register("IFC_INT_SET") == Some(1);
    matches!(case.step, Step::SetState(_))
        && busy
        && case.ours.answer == Err(Errno::BUSY)
        && matches!(
            case.ours.state,
            Some(Ok(State::Running | State::RunningP2p))
        )
        && case.c.state == Some(Ok(State::PreCopy))
}

/// D-16b: ours starts a device that was not saved, and enables messages as the C driver does when
/// it starts one.
pub(super) fn messages_enabled(case: &Case<'_>) -> bool {
    matches!(case.step, Step::SetState(_))
        && case.history.stopped
        && case.aspect == Aspect::Register("IFC_INT_MASK")
        && case.ours.register("IFC_INT_MASK") == Some(0)
}

/// Ours leaves pending messages of the PF alone when it starts a device.
pub(super) fn messages_kept(case: &Case<'_>) -> bool {
    const MESSAGES: [&str; 3] = ["IFC_INT_SOURCE", "IFC_INT_MASK", "IFC_INT_STATUS"];
    let kept = |name: &str| {
        let before = case
            .history
            .ours
            .as_ref()
            .and_then(|ours| ours.register(name));
        before.is_some() && before == case.ours.register(name)
    };
    matches!(case.step, Step::SetState(_))
        && case.history.transferred
        && matches!(case.aspect, Aspect::Register(name)
            if MESSAGES.contains(&name) && case.c.register(name) == Some(0) && kept(name))
}
