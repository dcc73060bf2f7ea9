// SPDX-License-Identifier: GPL-2.0

//! Waiting for the hardware.

use kernel::{
    io::poll::read_poll_timeout,
    prelude::*,
    time::Delta, //
};

/// How often a bit that the hardware is about to set is looked at, and for how long.
pub(crate) const BIT_INTERVAL: Delta = Delta::from_micros(10);
pub(crate) const BIT_PATIENCE: Delta = Delta::from_millis(1);
/// The same for a status that the PF's driver clears.
///
/// The C driver waits for 10 ms. Errors of all functions are in the PF's status, and an error of
/// another one stays there until the PF's driver has handled it. That it takes longer now and then
/// must not fail the stop: QEMU would reset the function.
pub(crate) const STATUS_INTERVAL: Delta = Delta::from_millis(1);
pub(crate) const STATUS_PATIENCE: Delta = Delta::from_millis(200);

/// What the hardware answers where there is none.
pub(crate) const ALL_ONES: u32 = !0;

/// Waits until a status is 0.
pub(crate) fn wait_until_zero(mut status: impl FnMut() -> u32) -> Result {
    wait_until(|| status() == 0, STATUS_INTERVAL, STATUS_PATIENCE).map_err(|_| EBUSY)
}

/// Waits until `done`, looking every `interval`. Mostly there is nothing to wait for, and no
/// clock to be read.
///
/// # Errors
///
/// [`ETIMEDOUT`] if that takes longer than `patience`.
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
