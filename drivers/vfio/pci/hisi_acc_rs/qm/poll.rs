// SPDX-License-Identifier: GPL-2.0

//! Waiting for the hardware.

use kernel::{
    io::poll::read_poll_timeout,
    prelude::*,
    time::Delta, //
};

/// How often and for how long to poll a bit that the hardware is about to set.
pub(crate) const BIT_INTERVAL: Delta = Delta::from_micros(10);
pub(crate) const BIT_PATIENCE: Delta = Delta::from_millis(1);
/// The same for a status that the PF's driver clears.
///
/// The C driver waits for 10 ms. The PF's status contains the errors of all functions, and another
/// function's error stays there until the PF's driver has handled it. If that occasionally takes
/// longer, the stop must not fail: QEMU would reset the function.
pub(crate) const STATUS_INTERVAL: Delta = Delta::from_millis(1);
pub(crate) const STATUS_PATIENCE: Delta = Delta::from_millis(200);

/// Value read from a device that is gone.
pub(crate) const ALL_ONES: u32 = !0;

/// Waits until `status` returns 0.
///
/// # Errors
///
/// [`EBUSY`] if this takes longer than [`STATUS_PATIENCE`].
pub(crate) fn wait_until_zero(mut status: impl FnMut() -> u32) -> Result {
    wait_until(|| status() == 0, STATUS_INTERVAL, STATUS_PATIENCE).map_err(|_| EBUSY)
}

/// Polls `done` every `interval` until it returns `true`. Usually the first call does, and the
/// clock is not read.
///
/// # Errors
///
/// [`ETIMEDOUT`] if this takes longer than `patience`.
pub(crate) fn wait_until(
    mut done: impl FnMut() -> bool,
    interval: Delta,
    patience: Delta,
) -> Result {
    if done() {
        return Ok(());
    }
    read_poll_timeout(|| Ok(done()), |done| *done, interval, patience).map(drop)
}
