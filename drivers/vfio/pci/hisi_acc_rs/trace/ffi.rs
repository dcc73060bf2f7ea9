// SPDX-License-Identifier: GPL-2.0

//! Wrappers of the C functions that emit the trace events.
//!
//! C header:
//! [`hisi_acc_rs_events_helpers.h`](srctree/drivers/vfio/pci/hisi_acc_rs/hisi_acc_rs_events_helpers.h)

use kernel::{
    device,
    pci,
    prelude::*, //
};
use vfio::bindings;

fn raw(pdev: &pci::Device) -> *mut kernel::bindings::device {
    let dev: &device::Device = pdev.as_ref();
    core::ptr::from_ref(dev).cast_mut().cast()
}

pub(super) fn arc(pdev: &pci::Device, from: u32, to: u32, duration: u32, ret: c_int) {
    // SAFETY: The device pointer comes from a reference, so it is valid for the call.
    unsafe { bindings::hisi_acc_rs_trace_arc(raw(pdev), from, to, duration, ret) };
}

pub(super) fn mailbox_enabled() -> bool {
    // SAFETY: The function has no preconditions.
    unsafe { bindings::hisi_acc_rs_trace_mailbox_enabled() }
}

pub(super) fn mailbox(pdev: &pci::Device, command: u8, duration: u32, ret: c_int) {
    // SAFETY: The device pointer comes from a reference, so it is valid for the call.
    unsafe { bindings::hisi_acc_rs_trace_mailbox(raw(pdev), command, duration, ret) };
}

pub(super) fn refuse(pdev: &pci::Device, session: u64, field: &str, expected: u64, got: u64) {
    // SAFETY: The device pointer comes from a reference, so it is valid for the call. `field`
    // points to as many initialised bytes as its length says, which C copies.
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
    // SAFETY: The device pointer comes from a reference, so it is valid for the call.
    unsafe { bindings::hisi_acc_rs_trace_reset(raw(pdev), done) };
}
