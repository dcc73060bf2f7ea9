// SPDX-License-Identifier: GPL-2.0

//! Random sequences of steps.
//!
//! A sequence is a function of its seed and its number. Steps that make no sense where they come
//! are in it too, but seldom: the generator guesses in which state the device is.
//!
//! What is never generated, since the C driver would not come back from it or would leave a kernel
//! that proves nothing any more, is in `Documentation/conformance.rst`.

use fastrand::Rng;
use vfio_bindings::bindings::vfio::*;

use super::step::{DebugFile, Fault, OUR_FILES, Reset, Step, Which};
use super::stream::{Base, Field, Stream};
use crate::vfio::State;

const LONGEST: usize = 20;

/// Sizes of reads, around those of the stream and of its head.
const LENGTHS: [usize; 10] = [0, 1, 7, 16, 39, 40, 41, 136, 176, 4096];
/// Sizes of writes.
const PIECES: [usize; 9] = [0, 1, 7, 39, 40, 41, 100, 136, 176];

const STATES: [State; 5] = [
    State::Stop,
    State::Running,
    State::StopCopy,
    State::Resuming,
    State::PreCopy,
];
const NO_STATES: [u32; 3] = [8, 9, u32::MAX];

/// Commands of the mailbox that the drivers use, as the model names them.
const COMMANDS: [&str; 4] = ["pause-qm", "sqc-bt", "cqc-bt", "sqc-vft"];

/// Registers that a VM may write at any time.
const WRITABLE: [u64; 6] = [0x04, 0x0c, 0x20, IFC_INT_MASK, IFC_INT_MASK, 0x34];
/// Whether messages of the PF are heard.
const IFC_INT_MASK: u64 = 0x24;
const VF_STATE: u64 = 0x60;
/// Registers that a VM may read, and the end of what it sees of BAR 2 on V3.
const READABLE: [u64; 12] = [
    0x04, 0x0c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x60, 0x7ff8, 0x7ffc, 0x7ffe,
];

/// What the generator thinks of the device.
struct Guess {
    open: bool,
    state: State,
    /// The VM's driver has set it up.
    up: bool,
    saving: bool,
    /// A stream that is being loaded, and how much of it is.
    loading: Option<(Stream, usize)>,
    /// A stream has been loaded since the device was opened.
    loaded: bool,
    /// Files that were given out and not closed.
    files: usize,
}

impl Guess {
    /// Whatever the device did, it runs and its VM has no driver.
    fn reset(&mut self) {
        self.state = State::Running;
        self.up = false;
        self.saving = false;
        self.loading = None;
    }

    fn closed(&mut self) {
        self.reset();
        self.open = false;
        self.loaded = false;
    }
}

struct Generator {
    rng: Rng,
    guess: Guess,
    steps: Vec<Step>,
    /// Faults are part of this sequence.
    faults: bool,
    fault: bool,
}

/// The sequence with this seed and number.
pub(super) fn sequence(seed: u64, number: u64) -> Vec<Step> {
    // The odd constant keeps the sequences of neighbouring seeds apart.
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    let length = rng.usize(4..=LONGEST);
    let faults = rng.u8(..4) == 0;
    let mut generator = Generator {
        rng,
        guess: Guess {
            open: false,
            state: State::Running,
            up: false,
            saving: false,
            loading: None,
            loaded: false,
            files: 0,
        },
        steps: Vec::new(),
        faults,
        fault: false,
    };
    generator.begin();
    while generator.steps.len() < length {
        generator.next();
    }
    generator.steps
}

impl Generator {
    /// True once in `n` times.
    fn once_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())]
    }

    fn which(&mut self) -> Which {
        if self.once_in(8) {
            Which::Older
        } else {
            Which::Newest
        }
    }

    /// Half of the sequences begin as a migration does.
    fn begin(&mut self) {
        let kind = self.rng.u32(..6);
        if kind > 2 {
            return;
        }
        self.open();
        if kind < 2 {
            self.steps.push(Step::BringUp);
            self.guess.up = true;
        }
        match kind {
            0 => self.go_to(State::PreCopy as u32),
            1 => self.steps.push(Step::Work),
            _ => self.go_to(State::Resuming as u32),
        }
    }

    fn next(&mut self) {
        if self.faults && self.once_in(5) {
            return self.fault();
        }
        if !self.guess.open {
            return match self.rng.u32(..20) {
                0 => self.steps.push(Step::Debug(DebugFile::State)),
                1 if self.once_in(2) => self.debug(),
                1 => self.file(),
                2 => self.steps.push(Step::Rebind),
                3 => self.steps.push(Step::Reset(Reset::Sysfs)),
                _ => self.open(),
            };
        }
        match self.rng.u32(..100) {
            0..30 => self.state(),
            30..55 => self.data(),
            55..66 => self.vm(),
            66..74 => self.debug(),
            74..80 => self.query(),
            80..88 => self.region(),
            88..93 => self.reset(),
            93..97 => self.file(),
            97 => self.rebind(),
            _ => self.close(),
        }
    }

    fn open(&mut self) {
        self.steps.push(Step::Open);
        self.guess.open = true;
    }

    fn close(&mut self) {
        self.steps.push(Step::Close);
        self.guess.closed();
    }

    fn rebind(&mut self) {
        self.steps.push(Step::Rebind);
        self.guess.closed();
        self.guess.files = 0;
    }

    fn reset(&mut self) {
        let step = match self.rng.u32(..100) {
            0..50 => Step::Reset(Reset::Ioctl),
            50..75 => Step::Reset(Reset::Sysfs),
            75..99 => Step::Reset(Reset::Config),
            // It takes long, and its mailbox fails too with some faults.
            _ if self.fault => Step::Reset(Reset::Ioctl),
            _ => Step::ResetPf,
        };
        // The VF is reset with its PF, and the driver is told nothing.
        if step == Step::ResetPf {
            self.guess.up = false;
        } else {
            self.guess.reset();
        }
        self.steps.push(step);
    }

    /// To another state.
    fn state(&mut self) {
        let number = match self.rng.u32(..80) {
            0 => self.one_of(&NO_STATES),
            1 => State::Error as u32,
            2 => State::RunningP2p as u32,
            3 => State::PreCopyP2p as u32,
            4..18 => self.one_of(&STATES) as u32,
            _ => self.sensible_state() as u32,
        };
        self.go_to(number);
    }

    /// Where a monitor would go from here.
    fn sensible_state(&mut self) -> State {
        let next: &[State] = match self.guess.state {
            State::Running => &[
                State::PreCopy,
                State::PreCopy,
                State::StopCopy,
                State::Stop,
                State::Resuming,
                State::Resuming,
            ],
            State::PreCopy => &[State::StopCopy, State::StopCopy, State::Running],
            State::Stop => &[State::Running, State::StopCopy, State::Resuming],
            State::Resuming => &[State::Stop, State::Running],
            _ => &[State::Stop, State::Running],
        };
        self.one_of(next)
    }

    fn go_to(&mut self, number: u32) {
        self.steps.push(Step::SetState(number));
        let Some(state) = STATES.into_iter().find(|state| *state as u32 == number) else {
            return;
        };
        if state == self.guess.state {
            return;
        }
        self.guess.loaded |= self.guess.loading.is_some();
        let goes_on = self.guess.state == State::PreCopy && state == State::StopCopy;
        self.guess.saving = matches!(state, State::PreCopy | State::StopCopy);
        self.guess.loading = (state == State::Resuming).then(|| (self.stream(), 0));
        if (self.guess.saving && !goes_on) || self.guess.loading.is_some() {
            self.guess.files += 1;
        }
        self.guess.state = state;
        if self.fault && self.once_in(3) {
            self.steps.push(Step::Debug(DebugFile::CmdState));
        }
        if self.faults && self.guess.loading.is_some() && self.once_in(3) {
            self.set_fault(Fault::MailboxStatus(1, Some("sqc-vft")));
        }
    }

    fn stream(&mut self) -> Stream {
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
            Field::QueueCount => self.rng.u64(0..2048),
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
    fn data(&mut self) {
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
            4..9 => Step::PrecopyInfo {
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
        self.steps.push(step);
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

    /// The VM runs.
    fn runs(&self) -> bool {
        matches!(self.guess.state, State::Running | State::PreCopy)
    }

    /// What the VM's driver does, in a device that runs and answers.
    fn vm(&mut self) {
        let runs = self.runs();
        let step = match (self.guess.up, self.rng.u32(..10)) {
            (false, _) if runs && !self.fault => {
                self.guess.up = true;
                Step::BringUp
            }
            (true, 0) if runs && !self.fault => self.shut_down(),
            // Between what is sent ahead and the rest.
            (true, 1..4) if self.guess.state == State::PreCopy && !self.fault => self.shut_down(),
            (true, 1..7) => Step::Work,
            _ => return self.region(),
        };
        self.steps.push(step);
    }

    fn shut_down(&mut self) -> Step {
        self.guess.up = false;
        Step::ShutDown
    }

    fn debug(&mut self) {
        let step = match self.rng.u32(..7) {
            0 => Step::Debug(DebugFile::State),
            1 => Step::Debug(DebugFile::Features),
            2 => Step::Debug(DebugFile::DevData),
            3 | 4 => Step::Debug(DebugFile::MigfData),
            5 => Step::Debug(DebugFile::CmdState),
            _ => Step::DebugOurs(self.one_of(&OUR_FILES)),
        };
        self.steps.push(step);
    }

    /// Questions to the device.
    fn query(&mut self) {
        const GET: u32 = VFIO_DEVICE_FEATURE_GET;
        const SET: u32 = VFIO_DEVICE_FEATURE_SET;
        const PROBE: u32 = VFIO_DEVICE_FEATURE_PROBE;
        /// Those that change nothing but themselves.
        const FEATURES: [u32; 7] = [
            VFIO_DEVICE_FEATURE_MIGRATION,
            VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
            VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
            VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
            VFIO_DEVICE_FEATURE_DMA_BUF,
            VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
            0xfff0,
        ];
        let step = match self.rng.u32(..10) {
            0 => Step::Features,
            1 => Step::DataSize,
            2..6 => Step::Feature {
                flags: self.one_of(&FEATURES)
                    | self.one_of(&[0, GET, GET, SET, GET | SET])
                    | self.one_of(&[0, 0, PROBE, 1 << 30]),
                argsz: self.one_of(&[0, 7, 8, 12, 15, 16, 16, 16]),
            },
            6 => Step::RegionInfo {
                index: self.rng.u32(..12),
                argsz: self.one_of(&[0, 31, 32, 32]),
            },
            7 => Step::IrqInfo {
                index: self.rng.u32(..7),
                argsz: self.one_of(&[0, 15, 16, 16]),
            },
            8 => Step::DeviceInfo {
                argsz: self.one_of(&[0, 15, 16, 20, 24]),
            },
            _ => Step::SeekDevice,
        };
        self.steps.push(step);
    }

    /// BAR 2.
    fn region(&mut self) {
        const PAGES: [u64; 5] = [0, 0x1000, 0x7000, 0x8000, 0xf000];
        const HALF: [usize; 5] = [0x1000, 0x2000, 0x7000, 0x8000, 0x1_0000];
        let step = match self.rng.u32(..10) {
            0..4 => Step::ReadRegion {
                offset: self.one_of(&READABLE),
                length: self.one_of(&[1, 2, 4, 4, 8]),
            },
            4..7 => {
                let offset = self.one_of(&WRITABLE);
                Step::WriteRegion {
                    offset,
                    length: 4,
                    value: self.rng.u64(0..3),
                }
            }
            7 if self.runs() => Step::WriteRegion {
                offset: VF_STATE,
                length: 4,
                value: self.rng.u64(0..2),
            },
            7 | 8 => Step::Map {
                offset: self.one_of(&PAGES),
                length: self.one_of(&HALF),
            },
            _ => Step::IoEventFd {
                offset: self.one_of(&[0x34, 0x7ffc, 0x8000, 0x8020, 0xfffc]),
            },
        };
        self.steps.push(step);
    }

    /// A data file that may be of a session that is over.
    fn file(&mut self) {
        if self.guess.files == 0 {
            return self.open_or_query();
        }
        let which = self.which();
        let step = match self.rng.u32(..6) {
            0 => {
                self.guess.files -= 1;
                Step::CloseFile
            }
            1 => Step::Read(which, 16),
            2 => Step::WriteFromNowhere(which, 16),
            3 => Step::Write {
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

    fn open_or_query(&mut self) {
        if self.guess.open {
            self.query();
        } else {
            self.open();
        }
    }

    fn fault(&mut self) {
        let fault = if self.fault && !self.once_in(4) {
            Fault::None
        } else {
            // Those that a driver waits for with many looks are seldom.
            match self.rng.u32(..32) {
                0 => Fault::MailboxTimeout(Some(self.one_of(&COMMANDS))),
                1 if self.once_in(4) => Fault::MailboxTimeout(None),
                2 | 3 => Fault::TableNever,
                4..12 => {
                    let status = self.rng.u8(1..=15);
                    Fault::MailboxStatus(status, Some(self.one_of(&COMMANDS)))
                }
                12..18 => Fault::WriteBackNever,
                18..24 => Fault::VfBusy,
                _ => Fault::Abnormal(1 << self.rng.u32(..15)),
            }
        };
        self.set_fault(fault);
        if self.fault && self.once_in(2) {
            self.steps.push(Step::Debug(DebugFile::DevData));
        }
    }

    fn set_fault(&mut self, fault: Fault) {
        self.fault = fault != Fault::None;
        self.steps.push(Step::Fault(fault));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_that_of_its_seed_and_number() {
        assert_eq!(sequence(1, 2), sequence(1, 2));
        assert_ne!(sequence(1, 2), sequence(1, 3));
        assert_ne!(sequence(1, 2), sequence(2, 2));
    }

    /// Every kind of step comes, and none that the C driver would not survive.
    #[test]
    fn sequences_have_all_steps_and_stay_inside() {
        let mut kinds = std::collections::BTreeSet::new();
        for step in (0..5000).flat_map(|number| sequence(7, number)) {
            let text = format!("{step:?}");
            let name: String = text
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            kinds.insert(name);
            if let Step::Write { stream, .. } = step
                && let Some((Field::QueueCount, count)) = stream.change
            {
                assert!(count < 2048, "{count} doorbells");
            }
        }
        // All but those that the twins add.
        assert_eq!(kinds.len(), 32, "{kinds:?}");
    }
}
