// SPDX-License-Identifier: GPL-2.0

//! To another state.

use vfio_client::State;

use super::Generator;
use crate::scenario::conformance::step::{DebugFile, Fault, Step};

const STATES: [State; 5] = [
    State::Stop,
    State::Running,
    State::StopCopy,
    State::Resuming,
    State::PreCopy,
];
const NO_STATES: [u32; 3] = [8, 9, u32::MAX];

impl Generator {
    /// To another state.
    pub(super) fn state(&mut self) {
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

    pub(super) fn go_to(&mut self, number: u32) {
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
}
