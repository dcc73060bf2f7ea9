// SPDX-License-Identifier: GPL-2.0

//! A host with two VFs that is made anew, and a VM that is moved from one to the other.

use std::time::Duration;

use anyhow::Result;
use control::ZIP0;
use linux::sysfs;

use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::transfer::{self, Path};

const REQUESTS: usize = 32;
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(20);

impl Fixture {
    /// Binds the VFs to the driver.
    pub(super) fn bind(&self) -> Result<()> {
        let name = self.host.driver_name()?;
        self.host.vfs.iter().try_for_each(|vf| vf.bind(&name))
    }

    /// Makes PF and VFs anew, whatever was before.
    pub(super) fn revive(&self) -> Result<()> {
        self.host.pf.unbind()?;
        self.bind_all()
    }

    /// Takes PF and VFs from the bus, and makes them anew from what is found there.
    pub(super) fn find_anew(&self) -> Result<()> {
        sysfs::write(self.host.pf.path("remove"), "1")?;
        sysfs::write("/sys/bus/pci/rescan", "1")?;
        self.bind_all()
    }

    /// Binds a PF without VFs, and as many VFs as there were.
    fn bind_all(&self) -> Result<()> {
        self.host.pf.bind("hisi_zip")?;
        let vfs = u32::try_from(self.host.vfs.len())?;
        self.host.pf.enable_vfs(vfs, false)?;
        self.bind()
    }

    /// A VM at work moves from VF1 to VF2.
    pub(super) fn migrates(&mut self) -> Result<()> {
        self.work()?;
        ZIP0.set_latency(SLOW)?;
        self.vm.submit_at_once(REQUESTS)?;
        let stopped = transfer::stop(&mut self.vm, Path::PreCopy, 4096, |vm| vm.submit(8))?;
        let device = self.vm.open(self.host.kind, &self.host.vfs[1])?;
        transfer::load(&mut self.vm, device, &stopped.stream, &[40, 136])?;
        drop(stopped);
        ZIP0.set_latency(FAST)?;
        self.vm.finish()?;
        self.vm.verify()?;
        self.close()
    }
}
