// SPDX-License-Identifier: GPL-2.0

//! Operations on the data files.

use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::event::PollFlags;
use vfio_client::DataFile;
use vfio_client::ffi;

use super::DriverUnderTest;
use crate::expect::errno;
use crate::scenario::conformance::observation::{Answer, Value, answer};
use crate::scenario::conformance::step::{Step, Which};
use crate::scenario::conformance::stream::Bases;

impl DriverUnderTest {
    fn file(&self, which: Which) -> Option<&DataFile> {
        let from_end = match which {
            Which::Newest => 1,
            Which::Older => 2,
        };
        self.files.get(self.files.len().checked_sub(from_end)?)
    }

    pub(super) fn answer_of_file(&mut self, step: &Step, bases: &Bases) -> Answer {
        let (Step::Read(which, _)
        | Step::ReadToNowhere(which, _)
        | Step::Write { which, .. }
        | Step::WriteFromNowhere(which, _)
        | Step::Positional(which)
        | Step::Seek(which)
        | Step::PrecopyInfo { which, .. }
        | Step::UnknownRequest(which)
        | Step::Poll(which)) = *step
        else {
            return Ok(match self.files.pop() {
                Some(_) => Value::Done,
                None => Value::Nothing,
            });
        };
        let Some(file) = self.file(which) else {
            return Ok(Value::Nothing);
        };
        let number = |done: usize| Value::Number(done as u64);
        match *step {
            Step::Read(_, length) => {
                let mut data = vec![0; length];
                let done = file.read(&mut data);
                answer(done, |done| Value::Bytes(data[..done].to_vec()))
            }
            Step::ReadToNowhere(_, length) => answer(ffi::read_to_nowhere(file, length), number),
            Step::Write {
                stream,
                from,
                length,
                ..
            } => answer(file.write(&bases.piece(stream, from, length)), number),
            Step::WriteFromNowhere(_, length) => {
                answer(ffi::write_from_nowhere(file, length), number)
            }
            Step::Positional(_) => {
                let read = answer(file.file().read_at(&mut [0; 8], 0), number);
                let write = answer(file.file().write_at(&[0; 8], 0), number);
                Ok(Value::Text(format!("read: {read:?}, write: {write:?}")))
            }
            Step::Seek(_) => {
                let mut position = file.file();
                answer(position.seek(SeekFrom::Start(0)), Value::Number)
            }
            Step::PrecopyInfo { argsz, flags, .. } => {
                answer(file.precopy_info_with(argsz, flags), |info| {
                    Value::Numbers(vec![info.flags.into(), info.initial, info.dirty])
                })
            }
            Step::Poll(_) => {
                let nothing = file.read(&mut []).err().map_or(0, |error| {
                    errno(&error).map_or(u64::MAX, |errno| errno.raw_os_error() as u64)
                });
                answer(file.poll(Duration::ZERO), |events| {
                    let has = |event| u64::from(events.contains(event));
                    Value::Numbers(vec![
                        has(PollFlags::IN),
                        has(PollFlags::OUT),
                        has(PollFlags::RDHUP),
                        nothing,
                    ])
                })
            }
            _ => answer(file.unknown_request(), |done| Value::Number(done as u64)),
        }
    }
}
