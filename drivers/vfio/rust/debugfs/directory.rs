// SPDX-License-Identifier: GPL-2.0

//! The list of a driver's files in debugfs.

use core::marker::PhantomData;
use kernel::prelude::*;

/// An entry of a [`Directory`].
pub struct Entry<T> {
    pub(super) name: &'static CStr,
    pub(super) mode: u16,
    /// File operations that expect a `Device<T>` as private data.
    pub(super) ops: &'static kernel::bindings::file_operations,
    pub(super) _driver: PhantomData<fn(&T)>,
}

/// A driver's directory in the core's `vfio/<device>/migration/`, with the files in it.
pub struct Directory<T: 'static> {
    pub(super) name: &'static CStr,
    pub(super) entries: &'static [Entry<T>],
}

impl<T: 'static> Directory<T> {
    /// Creates the description of a directory. The names `state` and `features` are used by the
    /// core.
    pub const fn new(name: &'static CStr, entries: &'static [Entry<T>]) -> Self {
        Self { name, entries }
    }
}
