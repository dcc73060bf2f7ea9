// SPDX-License-Identifier: GPL-2.0

//! The list of the files that a driver wants.

use core::marker::PhantomData;
use kernel::prelude::*;

/// An entry of a [`Directory`].
pub struct Entry<T> {
    pub(super) name: &'static CStr,
    pub(super) mode: u16,
    /// Operations that expect a `Device<T>` as the file's private data.
    pub(super) ops: &'static kernel::bindings::file_operations,
    pub(super) _driver: PhantomData<fn(&T)>,
}

/// A driver's directory in the core's `vfio/<device>/migration/`, with the files in it.
pub struct Directory<T: 'static> {
    pub(super) name: &'static CStr,
    pub(super) entries: &'static [Entry<T>],
}

impl<T: 'static> Directory<T> {
    /// A directory. The core has the names `state` and `features` itself.
    pub const fn new(name: &'static CStr, entries: &'static [Entry<T>]) -> Self {
        Self { name, entries }
    }
}
