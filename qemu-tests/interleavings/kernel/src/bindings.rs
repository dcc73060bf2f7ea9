// SPDX-License-Identifier: GPL-2.0

//! The bindings of the kernel's headers, and the C functions that they declare.

#![allow(non_camel_case_types)]

use crate::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use loom::sync::atomic::AtomicUsize;

pub struct module;
pub struct inode;
pub struct poll_table_struct;
pub type loff_t = i64;
pub type __poll_t = c_uint;

pub const O_RDONLY: c_uint = 0;
pub const O_WRONLY: c_uint = 1;

pub struct file {
    pub f_op: &'static file_operations,
    pub private_data: *mut c_void,
    pub f_inode: *mut inode,
    pub(crate) f_count: AtomicUsize,
}

pub struct file_operations {
    pub owner: *mut module,
    pub read: Option<unsafe extern "C" fn(*mut file, *mut c_char, usize, *mut loff_t) -> isize>,
    pub write: Option<unsafe extern "C" fn(*mut file, *const c_char, usize, *mut loff_t) -> isize>,
    pub poll: Option<unsafe extern "C" fn(*mut file, *mut poll_table_struct) -> __poll_t>,
    pub unlocked_ioctl: Option<unsafe extern "C" fn(*mut file, c_uint, c_ulong) -> c_long>,
    pub release: Option<unsafe extern "C" fn(*mut inode, *mut file) -> c_int>,
}

// SAFETY: `owner` is never dereferenced.
unsafe impl Sync for file_operations {}
// SAFETY: All fields are null or `None` if they are zeroed.
unsafe impl pinned_init::Zeroable for file_operations {}

/// Creates a file with one reference.
///
/// # Safety
///
/// `private_data` must have the type that `ops` expect.
pub unsafe fn anon_inode_getfile(
    _name: *const c_char,
    ops: &'static file_operations,
    private_data: *mut c_void,
    _flags: c_int,
) -> *mut file {
    Box::into_raw(Box::new(file {
        f_op: ops,
        private_data,
        f_inode: core::ptr::null_mut(),
        f_count: AtomicUsize::new(1),
    }))
}

/// # Safety
///
/// None here; there are some in the kernel.
pub unsafe fn stream_open(_: *mut inode, _: *mut file) -> c_int {
    0
}
