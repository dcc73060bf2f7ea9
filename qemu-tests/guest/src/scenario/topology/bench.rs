// SPDX-License-Identifier: GPL-2.0

//! A host with two VFs, and a VM that can be moved from one to the other.

use std::time::Duration;

use anyhow::Result;

use crate::Options;
use crate::control;
use crate::host::{Driver, Host};
use crate::qm::Vm;
use crate::scenario::transfer::{self, Path};
use crate::sysfs::Function;
use crate::vfio::{Kind, State};

const REQUESTS: usize = 32;
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(20);

pub(super) struct Bench {
    pub(super) driver: Driver,
    name: String,
    pub(super) kind: Kind,
    pub(super) pf: Function,
    pub(super) vfs: Vec<Function>,
    pub(super) vm: Vm,
}

impl Bench {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let host = Host::prepare(options, 2)?;
        Ok(Bench {
            driver: host.driver,
            name: host.driver_name()?,
            kind: host.kind,
            pf: host.pf,
            vfs: host.vfs,
            vm: Vm::new(1)?,
        })
    }

    /// Binds both VFs to the driver.
    pub(super) fn bind(&self) -> Result<()> {
        self.vfs.iter().try_for_each(|vf| vf.bind(&self.name))
    }

    /// Makes PF and VFs anew, whatever was before.
    pub(super) fn revive(&self) -> Result<()> {
        self.pf.unbind()?;
        self.pf.bind("hisi_zip")?;
        self.pf.enable_vfs(2, false)?;
        self.bind()
    }

    /// Opens VF1 and has a VM work on it.
    pub(super) fn start(&mut self) -> Result<()> {
        let device = self.vm.open(self.kind, &self.vfs[0])?;
        self.vm.attach(device);
        self.vm.bring_up()?;
        self.vm.submit(8)?;
        self.vm.finish()?;
        self.vm.verify()
    }

    /// Closes the VM's device.
    pub(super) fn stop(&mut self) -> Result<()> {
        drop(self.vm.detach()?);
        self.vm.forget();
        Ok(())
    }

    /// The stream of VF1 with a VM on it.
    pub(super) fn stream(&mut self) -> Result<Vec<u8>> {
        self.start()?;
        let file = self.vm.device()?.set_state_with_file(State::StopCopy)?;
        let stream = file.read_available(4096)?;
        self.stop()?;
        Ok(stream)
    }

    /// A VM at work moves from VF1 to VF2.
    pub(super) fn migrates(&mut self) -> Result<()> {
        self.start()?;
        control::set_latency(SLOW)?;
        self.vm.submit_at_once(REQUESTS)?;
        let stopped = transfer::stop(&mut self.vm, Path::PreCopy, 4096, |vm| vm.submit(8))?;
        let device = self.vm.open(self.kind, &self.vfs[1])?;
        transfer::load(&mut self.vm, device, &stopped.stream, &[40, 136])?;
        drop(stopped);
        control::set_latency(FAST)?;
        self.vm.finish()?;
        self.vm.verify()?;
        self.stop()
    }
}
