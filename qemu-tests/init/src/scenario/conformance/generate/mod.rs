// SPDX-License-Identifier: GPL-2.0

//! Random sequences of steps.
//!
//! A sequence is a function of its seed and its number. Steps that make no sense where they come
//! are in it too, but seldom: the generator guesses in which state the device is.
//!
//! What is never generated, since the C driver would not come back from it or would leave a kernel
//! that proves nothing any more, is in `Documentation/conformance.rst`.

mod data;
mod device;
mod fault;
mod guess;
mod states;

use fastrand::Rng;

use super::step::{DebugFile, Reset, Step, Which};
use guess::Guess;
use vfio_client::State;

const LONGEST: usize = 20;

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
        guess: Guess::default(),
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
        // The VF is reset with its PF, and the driver is not notified.
        if step == Step::ResetPf {
            self.guess.up = false;
        } else {
            self.guess.reset();
        }
        self.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::TOO_MANY_QUEUES;
    use super::super::stream::Field;
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
                assert!(count < TOO_MANY_QUEUES, "{count} doorbells");
            }
        }
        // All but those that the pair add.
        assert_eq!(kinds.len(), 33, "{kinds:?}");
    }
}
