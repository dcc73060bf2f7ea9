// SPDX-License-Identifier: GPL-2.0

//! Open files.

use crate::{bindings, sync::aref::AlwaysRefCounted};
use core::ptr::NonNull;
use loom::sync::atomic::{fence, Ordering};

#[repr(transparent)]
pub struct File(bindings::file);

// SAFETY: The reference count is atomic, and nothing else of a file changes.
unsafe impl Send for File {}
// SAFETY: As for `Send`.
unsafe impl Sync for File {}

impl File {
    /// # Safety
    ///
    /// `ptr` must be a file that lives for `'a`.
    pub unsafe fn from_raw_file<'a>(ptr: *const bindings::file) -> &'a Self {
        // SAFETY: By the safety requirements; a `File` is a `file`.
        unsafe { &*ptr.cast() }
    }

    pub fn as_ptr(&self) -> *mut bindings::file {
        core::ptr::from_ref(&self.0).cast_mut()
    }

    /// Returns the operations that the file was created with.
    pub fn operations(&self) -> &'static bindings::file_operations {
        self.0.f_op
    }
}

// SAFETY: The file is released with its last reference.
unsafe impl AlwaysRefCounted for File {
    #[track_caller]
    fn inc_ref(&self) {
        self.0.f_count.fetch_add(1, Ordering::Relaxed);
    }

    unsafe fn dec_ref(file: NonNull<Self>) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: By the safety requirements the file has a reference left.
        let this = unsafe { file.as_ref() };
        if this.0.f_count.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let raw = this.as_ptr();
        if let Some(release) = this.operations().release {
            // SAFETY: This was the last reference.
            unsafe { release(core::ptr::null_mut(), raw) };
        }
        // SAFETY: The file comes from a box, see `anon_inode_getfile()`.
        drop(unsafe { Box::from_raw(raw) });
    }
}
