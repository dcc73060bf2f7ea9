// SPDX-License-Identifier: GPL-2.0

//! Comparisons that say what was expected and what came.

use std::fmt::Debug;
use std::io;

use anyhow::{Result, bail, ensure};
pub(crate) use linux::timeouts::eventually;
use rustix::io::Errno;

pub(crate) fn equal<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Result<()> {
    ensure!(
        got == expected,
        "{what}: expected {expected:?}, got {got:?}"
    );
    Ok(())
}

/// The error number of an operation, if it failed by one.
pub(crate) fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

/// The operation must fail with this error number.
pub(crate) fn refused<T: Debug>(what: &str, result: io::Result<T>, expected: Errno) -> Result<()> {
    match result {
        Ok(value) => bail!("{what}: expected {expected}, got success ({value:?})"),
        Err(error) => {
            ensure!(
                errno(&error) == Some(expected),
                "{what}: expected {expected}, got {error}"
            );
            Ok(())
        }
    }
}
