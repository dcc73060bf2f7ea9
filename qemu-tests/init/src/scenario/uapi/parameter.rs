// SPDX-License-Identifier: GPL-2.0

//! The parameter `dma_logging` of the driver's module.

use anyhow::{Context, Result, bail};
use control::Report;
use linux::sysfs;
use protocol::{DmaLogging, Setup};
use rustix::io::Errno;
use vfio_client::{PAGE, State};

use super::Fixture;
use super::dma_logging::LOGGED;
use crate::expect::{equal, refused};
use crate::host::{Host, can_log_dma, module_of, modules};
use crate::modules::unload;
use crate::scenario::support::debugfs;

/// With each value, and with one that is none.
pub(in crate::scenario) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let fixture = Fixture::new(setup, 1)?;
    report.point("the default", || decides(&fixture, DmaLogging::Auto));
    for value in DmaLogging::ALL {
        report.point(&format!("dma_logging={value}"), || {
            load(&fixture, setup, value.name())?;
            decides(&fixture, *value)
        });
    }
    report.point("a value that is none", || {
        let error = match load(&fixture, setup, "perhaps") {
            Ok(()) => bail!("the module was loaded"),
            Err(error) => error,
        };
        let errno = error.root_cause().downcast_ref::<Errno>();
        equal("errno", errno, Some(&Errno::INVAL))?;
        load(&fixture, setup, "on")
    });
    Ok(())
}

/// Loads the module again with a value of the parameter, and binds the VF.
fn load(fixture: &Fixture, setup: &Setup, value: &str) -> Result<()> {
    let vf = &fixture.host.vfs[0];
    let module = module_of(fixture.host.driver);
    vf.unbind()?;
    if crate::modules::is_loaded(module) {
        unload(module)?;
    }
    modules(setup)?.load_with(module, &format!("dma_logging={value}"))?;
    vf.bind(&Host::name_of(fixture.host.driver)?)
}

/// Whether the VF's DMA is logged as the parameter says. The emulated SMMU does not track pages.
fn decides(fixture: &Fixture, value: DmaLogging) -> Result<()> {
    let module = module_of(fixture.host.driver);
    let shown = sysfs::read(format!("/sys/module/{module}/parameters/dma_logging"))?;
    equal("the parameter", shown.trim_end(), value.name())?;
    let logs = value != DmaLogging::Off && can_log_dma();

    let folder = debugfs::device(fixture.host.vfs[0].name()).join("migration");
    let attr = sysfs::read(folder.join("hisi_acc/attr"))?;
    let line = attr.lines().find(|line| line.starts_with("dirty tracking"));
    let line = line.context("attr has no line of dirty tracking")?;
    let expected = if logs { "driver" } else { "none" };
    equal("attr", line, format!("dirty tracking: {expected}").as_str())?;
    let features = sysfs::read(folder.join("features"))?;
    let shown = features.lines().any(|line| line == "dirty-tracking");
    equal("dirty-tracking in features", shown, logs)?;

    let device = fixture.open()?;
    let started = device.start_dma_logging(&[LOGGED], PAGE);
    if logs {
        equal("page size", started?, PAGE)?;
    } else {
        refused("a start", started, Errno::NOTTY)?;
    }
    equal("state", device.state()?, State::Running)
}
