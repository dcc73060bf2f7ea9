// SPDX-License-Identifier: GPL-2.0

//! Sequences that random ones came upon once in tens of thousands, cut down to what they need.
//!
//! Each is run before the random ones, so that what it shows is seen whatever the seed is.

use vfio_client::State;

use super::step::{DebugFile, Fault, Step, Which};
use super::stream::{Base, Field, Stream};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

/// A VM's driver says that it is there, and has set up nothing.
const READY: Step = Step::WriteRegion {
    offset: 0x60,
    length: 4,
    value: 0,
};

/// The tables of queues cannot be asked for.
const NO_TABLES: Step = Step::Fault(Fault::MailboxStatus(7, Some("sqc-bt")));

fn to(state: State) -> Step {
    Step::SetState(state as u32)
}

fn write(base: Base, change: Option<(Field, u64)>, length: usize) -> Step {
    Step::Write {
        which: Which::Newest,
        stream: Stream { base, change },
        from: 0,
        length,
    }
}

pub(super) fn sequences() -> Vec<Vec<Step>> {
    vec![
        // A save that has begun before the stop fails, and its data are looked at.
        vec![
            Step::Open,
            Step::BringUp,
            to(State::PreCopy),
            NO_TABLES,
            to(State::StopCopy),
            to(State::Running),
            Step::Debug(DebugFile::MigfData),
        ],
        // A save fails, and the device is started again.
        vec![
            Step::Open,
            READY,
            NO_TABLES,
            to(State::StopCopy),
            to(State::Running),
        ],
        // The event queue is loaded as it was before the work that was done, a stop fails, and
        // there is more work.
        vec![
            Step::Open,
            Step::BringUp,
            Step::Work,
            to(State::Resuming),
            write(Base::CFull, None, STREAM_SIZE),
            Step::Fault(Fault::Abnormal(512)),
            to(State::Running),
            to(State::StopCopy),
            Step::Work,
        ],
        // A stream that only ours refuses, and a write of nothing after it.
        vec![
            Step::Open,
            to(State::Resuming),
            write(Base::CFull, None, STREAM_SIZE),
            to(State::Stop),
            to(State::Resuming),
            write(Base::Version1, Some((Field::Isolation, 0x5151)), MATCH_SIZE),
            Step::WriteFromNowhere(Which::Newest, 0),
        ],
        // The C driver cannot check a stream, and is asked again by a write of nothing.
        vec![
            Step::Open,
            to(State::Resuming),
            Step::Fault(Fault::MailboxStatus(1, Some("sqc-vft"))),
            write(Base::OursFull, None, STREAM_SIZE),
            Step::WriteFromNowhere(Which::Newest, 0),
        ],
    ]
}
