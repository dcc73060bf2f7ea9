// SPDX-License-Identifier: GPL-2.0

//! Waiting for a condition.

pub mod poll {
    use crate::{error::Result, time::Delta};

    /// Calls `op` until `cond` is met. Other threads run in between; `timeout` never passes, as
    /// every thread of a test makes progress.
    pub fn read_poll_timeout<Op, Cond, T>(
        mut op: Op,
        mut cond: Cond,
        _sleep: Delta,
        _timeout: Delta,
    ) -> Result<T>
    where
        Op: FnMut() -> Result<T>,
        Cond: FnMut(&T) -> bool,
    {
        loop {
            let value = op()?;
            if cond(&value) {
                return Ok(value);
            }
            loom::thread::yield_now();
        }
    }
}
