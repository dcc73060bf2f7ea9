// SPDX-License-Identifier: GPL-2.0

//! System calls of a user on an open data file, limited to the part that the file sees.

use kernel::{
    bindings::file_operations,
    error::{Error, Result},
    fs::File,
    sync::poll::Wait,
};
use std::ptr::null_mut;

fn operations(file: &File) -> &'static file_operations {
    file.operations()
}

fn count(ret: isize) -> Result<usize> {
    usize::try_from(ret).map_err(|_| Error::from_errno(ret as i32))
}

/// Calls `read()` for at most `len` bytes.
pub fn read(file: &File, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = operations(file).read.expect("the file can be read");
    // SAFETY: `file` is valid, and `bytes` has room for `len` bytes.
    let ret = unsafe { read(file.as_ptr(), bytes.as_mut_ptr(), len, null_mut()) };
    bytes.truncate(count(ret)?);
    Ok(bytes)
}

/// `write()`
pub fn write(file: &File, bytes: &[u8]) -> Result<usize> {
    let write = operations(file).write.expect("the file can be written");
    // SAFETY: `file` and `bytes` are valid.
    count(unsafe { write(file.as_ptr(), bytes.as_ptr(), bytes.len(), null_mut()) })
}

/// Calls `poll()` without a timeout: sleeps until there are events, and returns them.
pub fn poll(file: &File) -> u32 {
    let poll = operations(file).poll.expect("the file can be polled");
    let mut wait = Wait::new();
    // SAFETY: `file` is valid, and the table outlives the call.
    let mut events = unsafe { poll(file.as_ptr(), wait.table()) };
    while events == 0 {
        wait.sleep();
        // SAFETY: `file` is valid. Without a table the file only returns the events.
        events = unsafe { poll(file.as_ptr(), null_mut()) };
    }
    events
}

/// Calls `poll()` without waiting.
pub fn poll_now(file: &File) -> u32 {
    let poll = operations(file).poll.expect("the file can be polled");
    let mut wait = Wait::new();
    // SAFETY: `file` is valid, and the table outlives the call.
    unsafe { poll(file.as_ptr(), wait.table()) }
}
