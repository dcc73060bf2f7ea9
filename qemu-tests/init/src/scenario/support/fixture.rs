// SPDX-License-Identifier: GPL-2.0

//! The fixture that most scenarios begin with: a host with VFs, and a VM for VF1. Methods for one
//! topic alone are in an `impl` in that topic's files (`mod.rs`, `fixture.rs` or the scenario).

use anyhow::Result;
use control::EmulatedDevice;
use protocol::Setup;
use vfio_client::{Device, State};
use vm::engine::{Accelerator, ZIP};
use vm::qm::{IOVA, Vm};

use super::stream_layout::{MATCH_SIZE, STREAM_SIZE};

use crate::expect::equal;
use crate::host::Host;

pub(crate) struct Fixture {
    pub(crate) host: Host,
    pub(crate) vm: Vm,
}

impl Fixture {
    /// A host with this many VFs.
    pub(crate) fn new(setup: &Setup, vfs: u32) -> Result<Self> {
        Self::with(setup, &ZIP, vfs)
    }

    /// A host with this many VFs of an accelerator.
    pub(crate) fn with(setup: &Setup, accelerator: &'static Accelerator, vfs: u32) -> Result<Self> {
        Ok(Fixture {
            host: Host::with(setup, accelerator, vfs)?,
            vm: Vm::with(accelerator.engine, IOVA, 1)?,
        })
    }

    /// VF1, freshly opened; no driver of a VM has touched it.
    pub(crate) fn open(&self) -> Result<Device> {
        self.vm.open(self.host.kind, &self.host.vfs[0])
    }

    /// Opens VF1 and has a VM's driver work on it. Returns how many queues it has.
    pub(crate) fn work(&mut self) -> Result<u16> {
        let device = self.open()?;
        self.vm.attach(device);
        let queues = self.vm.bring_up()?;
        self.vm.work(8)?;
        Ok(queues)
    }

    /// Closes the VM's device.
    pub(crate) fn close(&mut self) -> Result<()> {
        drop(self.vm.detach()?);
        self.vm.forget();
        Ok(())
    }

    /// Cleans up after a check, so that it cannot fail the next one.
    pub(crate) fn tidy(&mut self) -> Result<()> {
        EmulatedDevice(self.host.accelerator.id).set("fault", "")?;
        if self.vm.device().is_ok() {
            self.close()?;
        }
        self.vm.forget();
        Ok(())
    }

    /// Makes VF1 a device that was not opened yet.
    pub(crate) fn rebind(&self) -> Result<()> {
        self.host.vfs[0].unbind()?;
        self.host.vfs[0].bind(&self.host.driver_name()?)
    }

    /// The stream of a device without a driver in its VM: only the match data.
    pub(crate) fn match_stream(&self) -> Result<Vec<u8>> {
        stream(&self.open()?, MATCH_SIZE)
    }

    /// The stream of a device with a driver, complete.
    pub(crate) fn full_stream(&mut self) -> Result<Vec<u8>> {
        self.work()?;
        let stream = stream(self.vm.device()?, STREAM_SIZE)?;
        self.close()?;
        Ok(stream)
    }
}

/// The stream of a device, of this length.
pub(crate) fn stream(device: &Device, length: usize) -> Result<Vec<u8>> {
    let file = device.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    equal("size of the stream", stream.len(), length)?;
    Ok(stream)
}
