// SPDX-License-Identifier: GPL-2.0

//! Modules. There are none here.

use crate::{bindings, ffi::CStr};

pub trait ModuleMetadata {
    const NAME: &'static CStr;
    const THIS_MODULE: ThisModule;
}

pub struct ThisModule(*mut bindings::module);

// SAFETY: The pointer is null.
unsafe impl Sync for ThisModule {}

impl ThisModule {
    pub const fn as_ptr(&self) -> *mut bindings::module {
        self.0
    }
}

/// The module that all code here belongs to.
pub struct NoModule;

impl ModuleMetadata for NoModule {
    const NAME: &'static CStr = c"none";
    const THIS_MODULE: ThisModule = ThisModule(core::ptr::null_mut());
}

pub const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
    &M::THIS_MODULE
}
