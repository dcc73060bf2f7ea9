// SPDX-License-Identifier: GPL-2.0

//! The steps of one execution, which are printed if it fails.

use std::{
    cell::{Cell, RefCell},
    fmt::Display,
    panic::Location,
};

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(false) };
    static SETUP: Cell<bool> = const { Cell::new(false) };
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Sets whether steps are recorded.
pub fn enable(enabled: bool) {
    ENABLED.set(enabled);
}

/// Called when an execution begins.
pub fn begin() {
    STEPS.take();
    SETUP.set(true);
}

/// Called before the first thread is created. Drops the steps before it, which are of no interest.
pub fn setup_ends() {
    if SETUP.replace(false) {
        STEPS.take();
    }
}

/// Returns the steps since the setup.
pub fn take() -> Vec<String> {
    STEPS.take()
}

/// Records a step of the current thread, in the file that called the primitive.
#[track_caller]
pub fn step(what: impl FnOnce() -> String) {
    if ENABLED.get() {
        record(Some(Location::caller()), what());
    }
}

/// Records an action or observation of the test.
pub fn note(what: impl Display) {
    if ENABLED.get() {
        record(None, what.to_string());
    }
}

fn record(location: Option<&Location<'_>>, what: String) {
    let current = loom::thread::current();
    let thread = current.name().unwrap_or("main");
    let place = location.map(|location| {
        let file = location.file();
        let file = file.split_once("/out/vfio/").map_or(file, |(_, file)| file);
        format!(" ({file}:{})", location.line())
    });
    let place = place.unwrap_or_default();
    STEPS.with_borrow_mut(|steps| steps.push(format!("{thread}: {what}{place}")));
}
