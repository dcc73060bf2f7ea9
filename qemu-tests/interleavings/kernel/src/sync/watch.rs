// SPDX-License-Identifier: GPL-2.0

//! Checks accesses to memory that is not in a primitive: two accesses to the same byte, one of
//! which is a write, must be ordered.

use crate::trace;
use loom::cell::UnsafeCell;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    panic::{catch_unwind, AssertUnwindSafe},
    rc::Rc,
};

/// The number of bytes that one execution of a test may check.
const BYTES: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<UnsafeCell<()>>> = const { RefCell::new(Vec::new()) };
    static WATCHED: RefCell<HashMap<usize, Rc<UnsafeCell<()>>>> = RefCell::default();
    static RACED: Cell<bool> = const { Cell::new(false) };
}

/// Prepares an execution. Called by [`prepare`](super::prepare).
pub(super) fn prepare() {
    SPARE.set((0..BYTES).map(|_| UnsafeCell::new(())).collect());
    WATCHED.take();
    RACED.set(false);
}

/// Whether two accesses were not ordered.
pub fn raced() -> bool {
    RACED.get()
}

pub fn read(data: *const u8, len: usize) {
    access("reads", data, len, |byte| byte.with(|_| ()));
}

pub fn write(data: *const u8, len: usize) {
    access("writes", data, len, |byte| byte.with_mut(|_| ()));
}

fn access(what: &str, data: *const u8, len: usize, check: fn(&UnsafeCell<()>)) {
    for address in (data as usize)..(data as usize + len) {
        let byte = WATCHED.with_borrow_mut(|watched| {
            let byte = watched.entry(address).or_insert_with(|| {
                let spare = SPARE.with_borrow_mut(Vec::pop);
                Rc::new(spare.expect("BYTES is too small"))
            });
            byte.clone()
        });
        // A panic would not get past the `extern "C"` functions of files.
        if catch_unwind(AssertUnwindSafe(|| check(&byte))).is_err() {
            trace::note(format_args!("{what} a byte, unordered with another access"));
            RACED.set(true);
        }
    }
}
