// SPDX-License-Identifier: GPL-2.0

//! Data files.

use vfio_bindings::bindings::vfio::vfio_precopy_info;
use vfio_client::State;

use super::Generator;
use crate::scenario::conformance::history::TOO_MANY_QUEUES;
use crate::scenario::conformance::step::{Fault, Step, Which};
use crate::scenario::conformance::stream::{Base, Field, Stream};

/// Sizes of reads, around those of the stream and of its head.
const LENGTHS: [usize; 10] = [0, 1, 7, 16, 39, 40, 41, 136, 176, 4096];
/// Sizes of writes.
const PIECES: [usize; 9] = [0, 1, 7, 39, 40, 41, 100, 136, 176];

impl Generator {
    pub(super) fn stream(&mut self) -> Stream {
        let base = self.one_of(&Base::ALL);
        let change = if base == Base::Version1 && self.once_in(2) {
            // What was wrong in that version.
            Some((self.one_of(&[Field::EqeDma, Field::AeqeDma]), 0))
        } else if self.guess.loaded && self.once_in(3) {
            // The one before fitted, most likely.
            Some((self.one_of(&[Field::Device, Field::Isolation]), 0x5151))
        } else if self.once_in(3) {
            let field = self.one_of(&Field::ALL);
            Some((field, self.field_value(field)))
        } else {
            None
        };
        Stream { base, change }
    }

    fn field_value(&mut self, field: Field) -> u64 {
        match field {
            // So many doorbells does the C driver ring.
            Field::QueueCount => self.rng.u64(0..TOO_MANY_QUEUES),
            Field::EqcBase | Field::AeqcBase | Field::EqcDepth => self.rng.u64(..) & 0xffff_f000,
            _ => match self.rng.u32(..4) {
                0 => 0,
                1 => 1,
                2 => self.rng.u64(0..8),
                _ => self.rng.u64(..),
            },
        }
    }

    /// Reads or writes migration data.
    pub(super) fn data(&mut self) {
        if self.guess.loading.is_some() && !self.once_in(10) {
            return self.load();
        }
        if !self.guess.saving && !self.once_in(10) {
            return self.state();
        }
        let (which, length) = (self.which(), self.one_of(&LENGTHS));
        let step = match self.rng.u32(..20) {
            0 => Step::ReadToNowhere(which, length),
            1 => Step::Positional(which),
            2 => Step::Seek(which),
            3 => Step::UnknownRequest(which),
            4 | 5 => Step::Poll(which),
            6..10 => Step::PrecopyInfo {
                which: if self.guess.files > 1 && self.once_in(2) {
                    Which::Older
                } else {
                    which
                },
                argsz: if self.once_in(4) {
                    self.rng.u32(..32)
                } else {
                    size_of::<vfio_precopy_info>() as u32
                },
                flags: self.rng.u32(..4),
            },
            _ => Step::Read(which, length),
        };
        let reads = matches!(step, Step::Read(..));
        self.steps.push(step);
        // A reader that has read what is sent ahead waits for more.
        if reads && self.guess.state == State::PreCopy && self.once_in(2) {
            self.steps.push(Step::Poll(which));
        }
    }

    /// Writes a piece of the stream, or all that is missing and goes on.
    fn load(&mut self) {
        let Some((stream, from)) = self.guess.loading else {
            return;
        };
        let mut which = Which::Newest;
        let length = match self.rng.u32(..12) {
            0 => {
                let length = self.one_of(&PIECES);
                return self.steps.push(Step::WriteFromNowhere(which, length));
            }
            1 => {
                which = Which::Older;
                self.one_of(&PIECES)
            }
            2..6 => self.one_of(&PIECES),
            6 => stream.base.length() + 1,
            _ => stream.base.length().saturating_sub(from),
        };
        self.steps.push(Step::Write {
            which,
            stream,
            from,
            length,
        });
        let done = (from + length).min(stream.base.length());
        self.guess.loading = Some((stream, done));
        if done == stream.base.length() && !self.once_in(3) {
            if self.faults && self.once_in(2) {
                let command = self.one_of(&["sqc-bt", "cqc-bt"]);
                let status = self.rng.u8(1..=15);
                self.set_fault(Fault::MailboxStatus(status, Some(command)));
            }
            let state = self.one_of(&[State::Stop, State::Running]);
            self.go_to(state as u32);
        }
    }

    /// A data file that may be of a session that is over.
    pub(super) fn file(&mut self) {
        if self.guess.files == 0 {
            return self.open_or_query();
        }
        let which = self.which();
        let step = match self.rng.u32(..7) {
            0 => {
                self.guess.files -= 1;
                Step::CloseFile
            }
            1 => Step::Read(which, 16),
            2 => Step::WriteFromNowhere(which, 16),
            3 => Step::Poll(which),
            4 => Step::Write {
                which,
                stream: self.stream(),
                from: 0,
                length: self.one_of(&PIECES),
            },
            _ => Step::PrecopyInfo {
                which,
                argsz: size_of::<vfio_precopy_info>() as u32,
                flags: 0,
            },
        };
        self.steps.push(step);
    }
}
