// SPDX-License-Identifier: GPL-2.0

//! Trace events. `hisi_acc_rs_events.h` describes their fields.

mod ffi;

use crate::reject::Reject;
use kernel::{
    pci,
    prelude::*,
    time::Delta, //
};
use vfio::{
    migration::MigArc,
    timestamp::micros, //
};

fn errno(result: Result) -> i32 {
    result.map_or_else(Error::to_errno, |()| 0)
}

/// Traces that an arc has succeeded or failed.
///
/// `duration` is in microseconds; `errno` is 0 if the arc has succeeded.
pub(crate) fn arc(pdev: &pci::Device, arc: MigArc, duration: u32, errno: u16) {
    let (from, to) = arc.ends();
    ffi::arc(pdev, from as u32, to as u32, duration, -i32::from(errno));
}

/// Returns whether the event of mailbox commands is enabled.
pub(crate) fn mailbox_enabled() -> bool {
    ffi::mailbox_enabled()
}

/// Traces that a mailbox command has ended.
pub(crate) fn mailbox(pdev: &pci::Device, command: u8, duration: Delta, result: Result) {
    ffi::mailbox(pdev, command, micros(duration), errno(result));
}

/// Traces that the data of a session are refused.
pub(crate) fn refuse(pdev: &pci::Device, session: u64, reject: &Reject) {
    ffi::refuse(
        pdev,
        session,
        reject.field.name(),
        reject.expected,
        reject.got,
    );
}

/// Traces that the function is about to be reset.
pub(crate) fn reset_prepare(pdev: &pci::Device) {
    ffi::reset(pdev, false);
}

/// Traces that the function has been reset.
pub(crate) fn reset_done(pdev: &pci::Device) {
    ffi::reset(pdev, true);
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_trace)]
mod tests {
    use super::*;

    #[test]
    fn success_is_0_and_an_errno_is_negative() {
        assert_eq!(errno(Ok(())), 0);
        assert_eq!(errno(Err(EIO)), -5);
    }
}
