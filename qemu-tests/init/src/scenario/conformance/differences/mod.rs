// SPDX-License-Identifier: GPL-2.0

//! Where the two drivers differ, and why.
//!
//! Each is as narrow as its cause allows. What none of them covers is a fault of one of the drivers
//! or of this list. `Documentation/conformance.rst` has the reasons in full.

mod data_files;
mod debug_files;
mod device;
mod dump;
mod loading;
mod saving;

use rustix::io::Errno;
use vfio_client::State;

use super::history::{History, Resuming};
use super::observation::{Answer, Aspect, Observation, Value};
use super::step::{DebugFile, Step};

/// One thing that is not the same after a step.
pub(super) struct Case<'a> {
    pub(super) history: &'a History,
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
    "p2p-states": device::p2p_states,
    "dma-logging": device::dma_logging,
    "d7-refused-yet-loaded": loading::refused_yet_loaded,
    "d8-checked-once": loading::checked_once,
    "d9-unbounded": loading::unbounded,
    "d10-cut-off": loading::cut_off,
    "d10-promise": saving::promise,
    "d11-version-1-in-pieces": loading::version_1_in_pieces,
    "d12-errno": loading::errno_of_mismatch,
    "d14-table": saving::table_of_queues,
    "d15-half-loaded": loading::half_loaded,
    "d16-failed-stop": device::failed_stop,
    "d16b-no-restart": device::no_restart,
    "d20-ioeventfd": device::ioeventfd,
    "d27-check-in-write": loading::check_in_write,
    "d29-end-of-pre-copy": saving::end_of_pre_copy,
    "d30-closed": debug_files::closed_file,
    "d30-not-ready": debug_files::not_ready,
    "d31-dev-data-mailbox": debug_files::dev_data_mailbox,
    "d32-d33-dev-data": debug_files::dev_data,
    "d33-last-owner": debug_files::last_owner,
    "d33-half-saved": saving::half_saved,
    "d34-cmd-state": debug_files::cmd_state,
    "d35-closed-state": debug_files::closed_state,
    "queues-unknown": device::queues_unknown,
    "refused-in-pre-copy": device::refused_in_pre_copy,
    "stream-extension": saving::stream_extension,
    "no-driver-loaded": loading::no_driver_loaded,
    "messages-kept": device::messages_kept,
    "messages-enabled": device::messages_enabled,
    "ended-precopy-info": data_files::ended_precopy_info,
    "precopy-flags": data_files::precopy_flags,
    "order-of-checks": data_files::order_of_checks,
    "poll": data_files::poll,
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
        self.history.resuming.as_ref().filter(|_| leaves)
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
