// SPDX-License-Identifier: GPL-2.0

//! The migration protocol: features, states, the data file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vfio_bindings::bindings::vfio::*;

use super::Device;
use super::ffi;

/// `enum vfio_device_mig_state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// The device has failed; only a reset leads out of it.
    Error = 0,
    /// It does nothing, and its state does not change.
    Stop = 1,
    /// It works.
    Running = 2,
    /// Stopped, and its state can be read from a data file.
    StopCopy = 3,
    /// Stopped, and its state can be written to a data file.
    Resuming = 4,
    /// It works, but begins no DMA to other devices.
    RunningP2p = 5,
    /// It works, and data that come before its state can be read.
    PreCopy = 6,
    /// Both of the last two.
    PreCopyP2p = 7,
}

impl State {
    /// Every state, by its number.
    pub const ALL: [State; 8] = [
        State::Error,
        State::Stop,
        State::Running,
        State::StopCopy,
        State::Resuming,
        State::RunningP2p,
        State::PreCopy,
        State::PreCopyP2p,
    ];

    /// The name that debugfs prints.
    pub fn name(self) -> &'static str {
        match self {
            State::Error => "ERROR",
            State::Stop => "STOP",
            State::Running => "RUNNING",
            State::StopCopy => "STOP_COPY",
            State::Resuming => "RESUMING",
            State::RunningP2p => "RUNNING_P2P",
            State::PreCopy => "PRE_COPY",
            State::PreCopyP2p => "PRE_COPY_P2P",
        }
    }

    /// In one of the two states in which the device runs while data flow.
    pub fn is_pre_copy(self) -> bool {
        matches!(self, State::PreCopy | State::PreCopyP2p)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The flags of `VFIO_DEVICE_FEATURE_MIGRATION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// `VFIO_MIGRATION_STOP_COPY`.
    pub stop_copy: bool,
    /// `VFIO_MIGRATION_P2P`.
    pub p2p: bool,
    /// `VFIO_MIGRATION_PRE_COPY`.
    pub pre_copy: bool,
}

impl Features {
    /// Whether a device with these features has the state.
    pub fn include(self, state: State) -> bool {
        match state {
            State::RunningP2p => self.p2p,
            State::PreCopy => self.pre_copy,
            State::PreCopyP2p => self.p2p && self.pre_copy,
            _ => self.stop_copy,
        }
    }

    /// What the uAPI says of a request for `new` in state `current`: refused, or granted with or
    /// without a data file.
    pub fn grants(self, current: State, new: State) -> Option<bool> {
        let blocked = current == State::StopCopy && new.is_pre_copy();
        let known = self.include(current) && self.include(new);
        if !known || blocked || current == State::Error || new == State::Error {
            return None;
        }
        // A file comes with the arc into a state that transfers data; going on from pre-copy to
        // STOP_COPY, or between the pre-copy states, keeps the file there is.
        let opens = match new {
            State::Resuming => current != State::Resuming,
            State::StopCopy => current != State::StopCopy && !current.is_pre_copy(),
            State::PreCopy | State::PreCopyP2p => !current.is_pre_copy(),
            _ => false,
        };
        Some(opens)
    }
}

/// The answer of `VFIO_MIG_GET_PRECOPY_INFO`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrecopyInfo {
    /// `VFIO_PRECOPY_INFO_*`.
    pub flags: u32,
    /// Bytes of the initial data left to be read.
    pub initial: u64,
    /// Bytes that have become different since.
    pub dirty: u64,
}

/// A data file: the state of a device as a stream.
#[derive(Debug)]
pub struct DataFile(File);

impl AsFd for DataFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl DataFile {
    /// The open file itself.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// One `read()` of the file.
    pub fn read(&self, data: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(data)
    }

    /// One `write()` of the file.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        (&self.0).write(data)
    }

    /// Reads until there is no more, permanently (0) or for now (ENOMSG), `chunk` bytes at a time.
    pub fn read_available(&self, chunk: usize) -> Result<Vec<u8>> {
        let mut stream = Vec::new();
        let mut data = vec![0; chunk];
        loop {
            match self.read(&mut data) {
                Ok(0) => return Ok(stream),
                Err(error) if error.raw_os_error() == Some(libc::ENOMSG) => return Ok(stream),
                result => {
                    let done = result.context("reading migration data")?;
                    stream.extend_from_slice(&data[..done]);
                }
            }
        }
    }

    /// Writes everything, cut into chunks of these sizes; the last size repeats.
    pub fn write_chunks(&self, mut stream: &[u8], sizes: &[usize]) -> Result<()> {
        let mut sizes = sizes.iter().copied().peekable();
        let mut size = stream.len();
        while !stream.is_empty() {
            size = sizes.next().unwrap_or(size);
            let (chunk, rest) = stream.split_at(size.min(stream.len()));
            let done = self.write(chunk).context("writing migration data")?;
            ensure!(
                done == chunk.len(),
                "wrote {done} of {} bytes of migration data",
                chunk.len()
            );
            stream = rest;
        }
        Ok(())
    }

    /// The events that `poll()` reports within `timeout`.
    pub fn poll(&self, timeout: Duration) -> io::Result<PollFlags> {
        let wanted = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP;
        let mut files = [PollFd::new(self, wanted)];
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        poll(&mut files, Some(&timeout))?;
        Ok(files[0].revents())
    }

    /// Asks for the precopy info, with `argsz` and `flags` as given.
    pub fn precopy_info_with(&self, argsz: u32, flags: u32) -> io::Result<PrecopyInfo> {
        let mut info = vfio_precopy_info {
            argsz,
            flags,
            initial_bytes: u64::MAX,
            dirty_bytes: u64::MAX,
        };
        ffi::ioctl(self, &ffi::MIG_GET_PRECOPY_INFO, &mut info)?;
        Ok(PrecopyInfo {
            flags: info.flags,
            initial: info.initial_bytes,
            dirty: info.dirty_bytes,
        })
    }

    /// Asks for the precopy info.
    pub fn precopy_info(&self) -> io::Result<PrecopyInfo> {
        self.precopy_info_with(size_of::<vfio_precopy_info>() as u32, 0)
    }

    /// Makes a request that data files do not know.
    pub fn unknown_request(&self) -> io::Result<i32> {
        let mut info = vfio_precopy_info::default();
        ffi::ioctl(self, &ffi::NO_SUCH_REQUEST, &mut info)
    }
}

impl Device {
    /// `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE`, read.
    pub fn state(&self) -> io::Result<State> {
        let mut data = vfio_device_feature_mig_state {
            device_state: u32::MAX,
            data_fd: 0,
        };
        let flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
        ffi::device_feature(self, flags, None, &mut data)?;
        let state = State::ALL
            .into_iter()
            .find(|state| *state as u32 == data.device_state);
        state.ok_or_else(|| io::Error::other(format!("no such state: {}", data.device_state)))
    }

    /// Requests a state; returns the data file, if the arc made one.
    pub fn set_state(&self, state: State) -> io::Result<Option<DataFile>> {
        Ok(ffi::set_mig_state(self, state as u32)?.map(DataFile))
    }

    /// Sets a state by a number that need not be one.
    pub fn set_state_number(&self, number: u32) -> io::Result<Option<DataFile>> {
        Ok(ffi::set_mig_state(self, number)?.map(DataFile))
    }

    /// Sets a state by its number, where the kernel cannot write the answer.
    pub fn set_state_unanswerable(&self, number: u32) -> io::Result<()> {
        ffi::set_mig_state_unanswerable(self, number)
    }

    /// Sets a state whose arc makes a data file.
    pub fn set_state_with_file(&self, state: State) -> Result<DataFile> {
        let file = self
            .set_state(state)
            .with_context(|| format!("setting {state}"))?;
        file.with_context(|| format!("setting {state} returned no data file"))
    }

    /// `VFIO_DEVICE_FEATURE_MIGRATION`.
    pub fn features(&self) -> io::Result<Features> {
        let mut data = vfio_device_feature_migration::default();
        let flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION;
        ffi::device_feature(self, flags, None, &mut data)?;
        let has = |flag: u32| data.flags & u64::from(flag) != 0;
        Ok(Features {
            stop_copy: has(VFIO_MIGRATION_STOP_COPY),
            p2p: has(VFIO_MIGRATION_P2P),
            pre_copy: has(VFIO_MIGRATION_PRE_COPY),
        })
    }

    /// `VFIO_DEVICE_FEATURE_MIG_DATA_SIZE`, in bytes.
    pub fn data_size(&self) -> io::Result<u64> {
        let mut data = vfio_device_feature_mig_data_size::default();
        let flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE;
        ffi::device_feature(self, flags, None, &mut data)?;
        Ok(data.stop_copy_length)
    }

    /// Lets the device sleep until it is accessed again.
    pub fn allow_low_power(&self) -> io::Result<()> {
        let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
        ffi::device_feature(self, flags, None, &mut ()).map(drop)
    }

    /// Opts in to the second version of the precopy info, until the device is closed.
    pub fn use_precopy_info_v2(&self) -> io::Result<()> {
        let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
        ffi::device_feature(self, flags, None, &mut ()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C_DRIVER: Features = Features {
        stop_copy: true,
        p2p: false,
        pre_copy: true,
    };

    #[test]
    fn without_p2p_its_states_are_refused() {
        for current in State::ALL {
            assert_eq!(C_DRIVER.grants(current, State::RunningP2p), None);
            assert_eq!(C_DRIVER.grants(current, State::PreCopyP2p), None);
            assert_eq!(C_DRIVER.grants(current, State::Error), None);
        }
        assert_eq!(C_DRIVER.grants(State::StopCopy, State::PreCopy), None);
    }

    #[test]
    fn files_come_with_the_arc_into_a_transfer() {
        assert_eq!(C_DRIVER.grants(State::Running, State::PreCopy), Some(true));
        assert_eq!(
            C_DRIVER.grants(State::PreCopy, State::StopCopy),
            Some(false)
        );
        assert_eq!(C_DRIVER.grants(State::Running, State::StopCopy), Some(true));
        assert_eq!(C_DRIVER.grants(State::PreCopy, State::Resuming), Some(true));
        assert_eq!(
            C_DRIVER.grants(State::Resuming, State::Running),
            Some(false)
        );
    }
}
