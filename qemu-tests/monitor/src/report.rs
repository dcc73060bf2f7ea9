// SPDX-License-Identifier: GPL-2.0

//! Reports of what happens to guests, for the runner.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{Event, What};

/// Reports to the runner what happens now.
pub fn tell(what: What) {
    // QEMU counts its events' time in the same way.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    tell_of(since.map_or(0, |since| since.as_micros() as u64), what);
}

/// Reports to the runner what has happened, in microseconds since 1970.
pub(crate) fn tell_of(at: u64, what: What) {
    let line = serde_json::to_string(&Event { at, what }).expect("an event is plain data");
    control::dump(line);
}
