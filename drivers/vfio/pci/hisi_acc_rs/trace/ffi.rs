// SPDX-License-Identifier: GPL-2.0

//! The functions behind which C has the trace events, and who listens to them.
//!
//! C headers: `hisi_acc_events_helpers.h`, `include/linux/tracepoint-defs.h`

use kernel::{
    device,
    pci,
    prelude::*, //
};
use vfio::bindings;

/// Whether anybody listens to a tracepoint: a branch that the kernel patches, as C's have it.
macro_rules! has_listeners {
    ($tracepoint:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        {
            // SAFETY: the key is that of a tracepoint, which C defines.
            unsafe {
                kernel::jump_label::static_branch_unlikely!(
                    bindings::$tracepoint,
                    kernel::bindings::tracepoint,
                    key
                )
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            false
        }
    }};
}

#[inline]
pub(super) fn arc_has_listeners() -> bool {
    has_listeners!(__tracepoint_hisi_acc_vfio_arc)
}

fn raw(pdev: &pci::Device) -> *mut kernel::bindings::device {
    let dev: &device::Device = pdev.as_ref();
    core::ptr::from_ref(dev).cast_mut().cast()
}

pub(super) fn arc(pdev: &pci::Device, from: u32, to: u32, duration: u32, ret: c_int) {
    // SAFETY: the device is valid.
    unsafe { bindings::hisi_acc_rs_trace_arc(raw(pdev), from, to, duration, ret) };
}

#[inline]
pub(super) fn mailbox_has_listeners() -> bool {
    has_listeners!(__tracepoint_hisi_acc_vfio_mailbox)
}

pub(super) fn mailbox(pdev: &pci::Device, command: u8, duration: u32, ret: c_int) {
    // SAFETY: the device is valid.
    unsafe { bindings::hisi_acc_rs_trace_mailbox(raw(pdev), command, duration, ret) };
}

pub(super) fn refuse(pdev: &pci::Device, session: u64, field: &str, expected: u64, got: u64) {
    // SAFETY: the device is valid, and so are as many bytes of the text as it is long.
    unsafe {
        bindings::hisi_acc_rs_trace_refuse(
            raw(pdev),
            session,
            field.as_ptr().cast(),
            field.len(),
            expected,
            got,
        )
    };
}

pub(super) fn reset(pdev: &pci::Device, done: bool) {
    // SAFETY: the device is valid.
    unsafe { bindings::hisi_acc_rs_trace_reset(raw(pdev), done) };
}
