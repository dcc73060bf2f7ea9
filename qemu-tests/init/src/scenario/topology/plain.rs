// SPDX-License-Identifier: GPL-2.0

//! Functions that cannot migrate: they work as with vfio-pci, and nothing of them is hidden.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::VFIO_DEVICE_FLAGS_RESET;
use vfio_client::{BAR2, Device, Kind, REGION_MMAP, State, Token};
use vm::engine::ZIP;
use vm::qm::registers;

use crate::expect::{equal, refused};
use crate::host::{self, Driver, Host};
use crate::scenario::support::debugfs;
use crate::scenario::support::register_layout::{PF_BAR2_SIZE, VF_BAR2_SIZE};

/// Requests to see whether a VF works.
const REQUESTS: usize = 32;

/// A VF of hardware V2, with its PF's driver there.
pub(super) fn hardware_v2(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    equal("revision of the PF", pf.number("revision")?, 0x21)?;
    host::load_vfio(&modules)?;
    pf.enable_vfs(2, false)?;
    let vf = pf.virtual_function(1)?;
    let (kind, vm) = (host::container_of(setup), ZIP.vm(1)?);
    let fixture = Fixture::new(setup, vf, VF_BAR2_SIZE as u64)?;
    fixture.check(report, |vf| vm.open(kind, vf))
}

/// A VF whose PF has another driver than that of its engine: vfio-pci, for somebody who has it
/// open.
pub(super) fn foreign_pf(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    host::load_vfio(&modules)?;
    modules.load_with("vfio_pci", "enable_sriov=1")?;
    pf.bind("vfio-pci")?;
    pf.enable_vfs(2, false)?;
    let vf = pf.virtual_function(1)?;
    let (owner, vm) = (ZIP.vm(1)?, ZIP.vm(2)?);
    let token = Token([0x5a; 16]);
    let opened = owner.open(Kind::Type1, &pf)?;
    opened.set_token(&token).context("setting the VFs' token")?;
    let fixture = Fixture::new(setup, vf, VF_BAR2_SIZE as u64)?;
    fixture.check(report, |vf| vm.open_with_token(vf, &token))
}

/// A device that is none of the driver's VFs, bound to it by name all the same.
pub(super) fn pf_itself(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    host::load_vfio(&modules)?;
    let (kind, vm) = (host::container_of(setup), ZIP.vm(1)?);
    let fixture = Fixture::new(setup, pf, PF_BAR2_SIZE as u64)?;
    // The only function of its bus is reset by its bus when it is closed, if in no other way.
    if fixture.driver.is_rust() {
        fixture.check(report, |pf| vm.open(kind, pf))?;
    } else {
        fixture.check_closed(report)?;
    }
    report.point("it is bound by an id in new_id", || {
        fixture.bind_by_new_id()
    });
    Ok(())
}

/// A VF of hardware V3, half of whose BAR 2 is smaller than a page. The C driver offers that half
/// for mapping, which fails (D-19).
pub(super) fn large_pages(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    equal("revision of the PF", pf.number("revision")?, 0x30)?;
    host::load_vfio(&modules)?;
    pf.enable_vfs(2, false)?;
    let vf = pf.virtual_function(0)?;
    let (kind, mut vm) = (host::container_of(setup), ZIP.vm(1)?);
    let fixture = Fixture::new(setup, vf.clone(), VF_BAR2_SIZE as u64)?;
    fixture.check(report, |vf| vm.open(kind, vf))?;
    report.point("a VM works with it", || {
        let device = vm.open(kind, &vf)?;
        vm.attach(device);
        vm.bring_up()?;
        vm.work(REQUESTS)
    });
    Ok(())
}

/// A function and its driver.
struct Fixture {
    driver: Driver,
    name: String,
    function: Function,
    bar2_size: u64,
}

impl Fixture {
    fn new(setup: &Setup, function: Function, bar2_size: u64) -> Result<Self> {
        let driver = setup.driver.unwrap_or_default();
        host::modules(setup)?.load(host::module_of(driver))?;
        Ok(Fixture {
            driver,
            name: Host::name_of(driver)?,
            function,
            bar2_size,
        })
    }

    fn bind(&self, report: &mut Report) -> Result<()> {
        let bound = report.point("the driver binds", || self.function.bind(&self.name));
        ensure!(bound, "nothing to look at");
        report.point("there is no migration folder", || no_folder(&self.function));
        Ok(())
    }

    fn rebind(&self, report: &mut Report) {
        report.point("it is unbound and bound again", || {
            self.function.unbind()?;
            self.function.bind(&self.name)
        });
        ZIP0.report_violations(report, true);
    }

    /// Unbinds the function and binds it again by its id alone, without `driver_override`.
    fn bind_by_new_id(&self) -> Result<()> {
        let driver = Path::new("/sys/bus/pci/drivers").join(&self.name);
        let number = |file| self.function.number(file);
        let id = format!("{:x} {:x}", number("vendor")?, number("device")?);
        self.function.unbind()?;
        sysfs::write(self.function.path("driver_override"), "\n")?;
        sysfs::write(driver.join("new_id"), &id)?;
        equal("driver", self.function.driver().as_ref(), Some(&self.name))?;
        self.function.unbind()?;
        sysfs::write(driver.join("remove_id"), &id)?;
        let bound = sysfs::write(driver.join("bind"), self.function.name());
        ensure!(bound.is_err(), "bound without the id that was removed");
        Ok(())
    }

    /// Checks that need no open device.
    fn check_closed(&self, report: &mut Report) -> Result<()> {
        self.bind(report)?;
        self.rebind(report);
        Ok(())
    }

    fn check(&self, report: &mut Report, open: impl Fn(&Function) -> Result<Device>) -> Result<()> {
        self.bind(report)?;
        // A device that cannot be reset is opened by the C driver as well. One that can be is
        // reset when it is opened, which the C driver does not survive (D-2).
        let methods = self.function.path("reset_method");
        let known = sysfs::read(&methods)?;
        sysfs::write(&methods, "\n")?;
        report.point("it opens and works without a way to reset it", || {
            let device = open(&self.function)?;
            self.works(&device)?;
            equal("reset flag", reset_flag(&device)?, false)?;
            refused("reset", device.reset(), Errno::INVAL)
        });
        sysfs::write(&methods, known.trim())?;
        let name = "it opens, works and is reset";
        if self.driver.is_rust() {
            report.point(name, || {
                let device = open(&self.function)?;
                self.works(&device)?;
                equal("reset flag", reset_flag(&device)?, true)?;
                resets(&device, || device.reset().context("by its user"))?;
                resets(&device, || self.function.reset())
            });
            report.point("it is reset while it is closed", || self.function.reset());
        } else {
            report.skip(name, "known to fail with the C driver");
        }
        self.rebind(report);
        Ok(())
    }

    fn works(&self, device: &Device) -> Result<()> {
        no_migration(device)?;
        whole_bar2(device, self.bar2_size)
    }
}

fn no_folder(function: &Function) -> Result<()> {
    let folder = debugfs::device(function.name());
    ensure!(folder.is_dir(), "{} is not there", folder.display());
    let found = folder.join("migration");
    ensure!(!found.exists(), "{} is there", found.display());
    Ok(())
}

fn no_migration(device: &Device) -> Result<()> {
    refused("migration flags", device.features(), Errno::NOTTY)?;
    refused("state", device.state(), Errno::NOTTY)?;
    refused(
        "setting a state",
        device.set_state(State::Stop),
        Errno::NOTTY,
    )?;
    refused("data size", device.data_size(), Errno::NOTTY)?;
    // The core looks for the flag of PRE_COPY only.
    refused(
        "precopy info v2",
        device.use_precopy_info_v2(),
        Errno::INVAL,
    )
}

fn whole_bar2(device: &Device, size: u64) -> Result<()> {
    let region = device.region(BAR2)?;
    equal("size of BAR2", region.size, size)?;
    equal(
        "BAR2 can be mapped",
        region.flags & REGION_MMAP,
        REGION_MMAP,
    )?;
    let mapping = device.map_region(BAR2, 0, usize::try_from(size)?)?;
    equal("bytes mapped", mapping.len() as u64, size)?;
    device
        .ioeventfd(BAR2, size / 2, 0)
        .context("an ioeventfd in the upper half")
        .map(drop)
}

fn reset_flag(device: &Device) -> Result<bool> {
    Ok(device.info()?.flags & VFIO_DEVICE_FLAGS_RESET != 0)
}

/// Whether `reset` takes a register back that was written before.
fn resets(device: &Device, reset: impl FnOnce() -> Result<()>) -> Result<()> {
    let page_size = || -> Result<u32> {
        let mut word = [0; 4];
        device.read_region(BAR2, registers::PAGE_SIZE as u64, &mut word)?;
        Ok(u32::from_le_bytes(word))
    };
    device.write_region(BAR2, registers::PAGE_SIZE as u64, &1_u32.to_le_bytes())?;
    equal("register before the reset", page_size()?, 1)?;
    reset()?;
    equal("register after the reset", page_size()?, 0)
}
