// SPDX-License-Identifier: GPL-2.0

//! Where the device is, as far as the generator can tell.

use vfio_client::State;

use crate::scenario::conformance::stream::Stream;

/// The device's state as the generator guesses it.
pub(super) struct Guess {
    pub(super) open: bool,
    pub(super) state: State,
    /// The VM's driver has set it up.
    pub(super) up: bool,
    pub(super) saving: bool,
    /// A stream that is being loaded, and how much of it is.
    pub(super) loading: Option<(Stream, usize)>,
    /// A stream has been loaded since the device was opened.
    pub(super) loaded: bool,
    /// Files that were given out and not closed.
    pub(super) files: usize,
}

impl Default for Guess {
    fn default() -> Self {
        Guess {
            open: false,
            state: State::Running,
            up: false,
            saving: false,
            loading: None,
            loaded: false,
            files: 0,
        }
    }
}

impl Guess {
    /// Whatever the device did, it runs and its VM has no driver.
    pub(super) fn reset(&mut self) {
        self.state = State::Running;
        self.up = false;
        self.saving = false;
        self.loading = None;
    }

    pub(super) fn closed(&mut self) {
        self.reset();
        self.open = false;
        self.loaded = false;
    }
}
