// SPDX-License-Identifier: GPL-2.0

//! Trace events. What their fields mean is in `hisi_acc_events.h`.

mod ffi;

use crate::{
    history::{
        Id,
        Step, //
    },
    reject::Reject, //
};
use kernel::{
    pci,
    prelude::*,
    time::Delta, //
};

/// Microseconds of `duration`, rounded up and bounded.
pub(crate) fn micros(duration: Delta) -> u32 {
    u32::try_from(duration.as_micros_ceil()).unwrap_or(u32::MAX)
}

fn errno(result: Result) -> i32 {
    result.map_or_else(Error::to_errno, |()| 0)
}

/// An arc was walked, or not.
pub(crate) fn arc(pdev: &pci::Device, step: &Step) {
    let (from, to) = step.arc.ends();
    ffi::arc(
        pdev,
        from as u32,
        to as u32,
        step.duration,
        -i32::from(step.errno),
    );
}

/// Whether anybody wants to know of mailbox commands.
pub(crate) fn listens_to_mailbox() -> bool {
    ffi::mailbox_enabled()
}

/// A mailbox command has ended.
pub(crate) fn mailbox(pdev: &pci::Device, command: u8, duration: Delta, result: Result) {
    ffi::mailbox(pdev, command, micros(duration), errno(result));
}

/// The data of a session are refused.
pub(crate) fn refuse(pdev: &pci::Device, session: Id, reject: &Reject) {
    ffi::refuse(
        pdev,
        session,
        reject.field.name(),
        reject.expected,
        reject.got,
    );
}

/// The function is about to be reset.
pub(crate) fn reset_prepare(pdev: &pci::Device) {
    ffi::reset(pdev, false);
}

/// The function has been reset.
pub(crate) fn reset_done(pdev: &pci::Device) {
    ffi::reset(pdev, true);
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_trace)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_rounded_up_and_bounded() {
        assert_eq!(micros(Delta::from_nanos(1500)), 2);
        assert_eq!(micros(Delta::from_secs(1 << 20)), u32::MAX);
    }

    #[test]
    fn success_is_0_and_an_errno_is_negative() {
        assert_eq!(errno(Ok(())), 0);
        assert_eq!(errno(Err(EIO)), -5);
    }
}
