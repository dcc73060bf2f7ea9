// SPDX-License-Identifier: GPL-2.0

//! What has happened in a sequence so far, as far as an explanation of a difference needs it.

use rustix::io::Errno;
use vfio_client::State;

use super::observation::{Image, Observation, Value};
use super::step::{Fault, Step, Which};
use super::stream::{Bases, Field};
use crate::scenario::support::stream_layout::STREAM_SIZE;

/// More queues than any function has. The C driver rings as many doorbells as a stream says that
/// it has loaded unchecked, or in spite of its check (D-7 to D-9).
pub(super) const TOO_MANY_QUEUES: u64 = 2048;

/// A session in RESUMING.
#[derive(Default)]
pub(super) struct Resuming {
    /// The C driver's copy of the stream.
    pub(super) written: Vec<u8>,
    /// Our driver has refused some of it, and loads nothing.
    pub(super) refused: bool,
}

/// Whether a stream that has begun in PRE_COPY goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    None,
    /// The function was ready, so that there is more to come.
    Given,
    /// It was not any more when the device had stopped.
    Kept,
}

/// The history of both devices.
pub(super) struct History {
    pub(super) fault: Fault,
    /// The state that both devices were in after the last step; RUNNING if they are closed.
    pub(super) state: State,
    pub(super) open: bool,
    /// The C driver has found a match since the device was opened.
    pub(super) matched: bool,
    pub(super) resuming: Option<Resuming>,
    /// Bytes that were read of the newest session, of the C driver and of ours.
    pub(super) position: usize,
    pub(super) our_position: usize,
    /// The device was stopped since it was opened or reset, or that was tried.
    pub(super) stopped: bool,
    /// A state was saved or loaded since the device was opened or reset, or somebody has tried to
    /// save one.
    pub(super) transferred: bool,
    /// The registers of our device after the last step.
    pub(super) ours: Option<Image>,
    /// A stream was loaded since the device was opened or reset.
    pub(super) loaded: bool,
    /// A save on the way from PRE_COPY has failed since the device was opened, with some of the
    /// registers read.
    pub(super) half_saved: bool,
    /// A session has ended, or some of it was refused, since the device was opened.
    pub(super) sessions: u32,
    pub(super) refused: bool,
    /// The device was not opened in this sequence.
    pub(super) untouched: bool,
    /// A transaction on the PF's table was cut off, and the table waits for it.
    pub(super) table_stuck: bool,
    /// Our driver does not know the queues of the VF: it has not answered.
    pub(super) unidentified: bool,
    /// What our driver has promised in the newest session, and whether it ever had to keep to it.
    pub(super) promise: Promise,
    pub(super) promised: bool,
}

impl Default for History {
    fn default() -> Self {
        History {
            fault: Fault::None,
            state: State::Running,
            open: false,
            matched: false,
            resuming: None,
            position: 0,
            our_position: 0,
            stopped: false,
            transferred: false,
            ours: None,
            loaded: false,
            half_saved: false,
            sessions: 0,
            refused: false,
            untouched: true,
            table_stuck: false,
            unidentified: false,
            promise: Promise::None,
            promised: false,
        }
    }
}

impl History {
    /// Both devices are new to their user.
    pub(super) fn opened(&mut self) {
        *self = History {
            fault: self.fault,
            open: true,
            untouched: false,
            table_stuck: self.table_stuck,
            unidentified: self.unidentified && self.fault.fails("sqc-vft"),
            ..History::default()
        };
    }

    /// Whether `step` would have the C driver load a number of queues for which it rings doorbells
    /// for hours. Pieces that do not follow one another can have any number where that one is.
    pub(super) fn is_endless(&self, step: &Step) -> bool {
        let Some(Resuming { written, .. }) = &self.resuming else {
            return false;
        };
        matches!(step, Step::SetState(_))
            && written.len() >= STREAM_SIZE
            && Field::QueueCount.of(written) >= Some(TOO_MANY_QUEUES)
    }

    fn reset(&mut self) {
        self.state = State::Running;
        self.resuming = None;
        self.stopped = false;
        self.transferred = false;
        self.loaded = false;
    }

    /// A step has been done, and whatever was different afterwards is explained.
    pub(super) fn learn(
        &mut self,
        step: &Step,
        c: &Observation,
        ours: &Observation,
        bases: &Bases,
    ) {
        self.learn_step(step, c, ours, bases);
        self.ours = ours.image.clone();
    }

    fn learn_step(&mut self, step: &Step, c: &Observation, ours: &Observation, bases: &Bases) {
        match *step {
            Step::Open if c.answer == Ok(Value::Done) => self.opened(),
            Step::Close | Step::Rebind => {
                self.reset();
                self.open = false;
                self.unidentified = match step {
                    Step::Rebind => self.fault.fails("sqc-vft"),
                    _ => self.unidentified,
                };
            }
            Step::Reset(_) => self.reset(),
            Step::Fault(fault) => self.table_stuck |= fault == Fault::TableNever,
            Step::ResetPf => self.table_stuck = false,
            Step::SetState(_) => self.set_state(c),
            Step::Read(Which::Newest, _) => {
                let read = |side: &Observation| match &side.answer {
                    Ok(Value::Bytes(bytes)) => bytes.len(),
                    _ => 0,
                };
                self.position += read(c);
                self.our_position += read(ours);
            }
            Step::Write {
                which: Which::Newest,
                stream,
                from,
                length,
            } => {
                let Some(resuming) = &mut self.resuming else {
                    return;
                };
                // The C driver keeps what it says it has refused.
                let kept = match c.answer {
                    Ok(Value::Number(_)) => true,
                    Err(errno) => errno == Errno::FAULT,
                    _ => false,
                };
                if kept {
                    resuming.written.extend(bases.piece(stream, from, length));
                }
                resuming.refused |= ours.answer == Err(Errno::INVAL);
                self.refused |= resuming.refused;
                self.matched |= matches!(c.answer, Ok(Value::Number(_)))
                    && resuming.written.len()
                        >= crate::scenario::support::stream_layout::MATCH_SIZE;
            }
            _ => {}
        }
    }

    fn set_state(&mut self, c: &Observation) {
        let Some(Ok(state)) = c.state else {
            return;
        };
        let ready = c.register("VF_STATE") == Some(0);
        if matches!(c.answer, Ok(Value::Text(_))) {
            // A data file, and so a new session.
            self.position = 0;
            self.our_position = 0;
            self.sessions += 1;
            self.resuming = (state == State::Resuming).then(Resuming::default);
            self.promise = if state == State::PreCopy && ready {
                Promise::Given
            } else {
                Promise::None
            };
        } else if state != State::Resuming {
            self.resuming = None;
        }
        if self.promise == Promise::Given && state == State::StopCopy && !ready {
            self.promise = Promise::Kept;
            self.promised = true;
        }
        let failed = ready && self.save_failed(c, state);
        self.half_saved |= failed && state == State::PreCopy;
        self.transferred |= failed || state == State::StopCopy || self.state == State::Resuming;
        self.loaded |= self.state == State::Resuming && state != State::Resuming;
        self.stopped |= c.answer.is_err() || !matches!(state, State::Running | State::PreCopy);
        self.state = state;
    }

    /// Whether the device was stopped, but its tables of queues could not be asked for.
    fn save_failed(&self, c: &Observation, state: State) -> bool {
        let stopped = match state {
            State::Stop => true,
            State::PreCopy => !self.fault.fails("pause-qm"),
            _ => false,
        };
        stopped
            && matches!(c.answer, Err(Errno::IO | Errno::TIMEDOUT))
            && (self.fault.fails("sqc-bt") || self.fault.fails("cqc-bt"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_is_what_is_loaded_with_too_many_queues() {
        let load = Step::SetState(State::Stop as u32);
        let history = |queues, length| {
            let mut written = vec![0; STREAM_SIZE];
            Field::QueueCount.set(&mut written, queues);
            written.truncate(length);
            History {
                resuming: Some(Resuming {
                    written,
                    refused: true,
                }),
                ..History::default()
            }
        };
        assert!(history(TOO_MANY_QUEUES, STREAM_SIZE).is_endless(&load));
        assert!(!history(TOO_MANY_QUEUES, STREAM_SIZE).is_endless(&Step::Close));
        assert!(!history(TOO_MANY_QUEUES - 1, STREAM_SIZE).is_endless(&load));
        // Of a stream that is not complete nothing is loaded.
        assert!(!history(TOO_MANY_QUEUES, STREAM_SIZE - 1).is_endless(&load));
        assert!(!History::default().is_endless(&load));
    }
}
