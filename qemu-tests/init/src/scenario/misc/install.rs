// SPDX-License-Identifier: GPL-2.0

//! Installed modules, loaded as udev, libvirt and an operator load them: by modprobe, from
//! /lib/modules, by the aliases in there.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;
use vfio_client::Kind;
use vm::engine::ZIP;

use crate::expect::equal;
use crate::host::{self, Driver, Host};
use crate::modules::{is_loaded, out_of_tree};
use crate::scenario::support::debugfs;

/// Where the kernel looks for it as well.
const MODPROBE: &str = "/sbin/modprobe";

pub(super) fn modprobe(what: &str) -> Result<()> {
    let output = Command::new(MODPROBE)
        .arg(what)
        .output()
        .with_context(|| format!("cannot run {MODPROBE}"))?;
    ensure!(
        output.status.success(),
        "modprobe {what}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The alias of a PCI function.
pub(super) fn alias(function: &Function) -> Result<String> {
    Ok(sysfs::read(function.path("modalias"))?.trim().to_owned())
}

/// The alias by which a VFIO driver matches a VF.
pub(super) fn vfio_alias(vf: &Function) -> Result<String> {
    let alias = alias(vf)?;
    let rest = alias.strip_prefix("pci:");
    let rest = rest.with_context(|| format!("the alias of {vf} is {alias:?}"))?;
    Ok(format!("vfio_pci:{rest}"))
}

/// A VM works with the VF.
pub(super) fn works(vf: &Function, kind: Kind) -> Result<()> {
    let mut vm = ZIP.vm(1)?;
    let device = vm.open(kind, vf)?;
    vm.attach(device);
    vm.bring_up()?;
    vm.submit(16)?;
    vm.finish()
}

/// The VF goes to `driver`, a VM works with it, and its debug files are that driver's.
pub(super) fn switch(vf: &Function, driver: Driver, kind: Kind) -> Result<()> {
    vf.bind(&Host::name_of(driver)?)?;
    works(vf, kind)?;
    let files = debugfs::device(vf.name()).join("migration/hisi_acc");
    equal("cmd_state is there", files.join("cmd_state").exists(), true)?;
    equal(
        "attr is there",
        files.join("attr").exists(),
        driver.is_rust(),
    )
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let kind = host::container_of(setup);
    let pf = host::pf(&ZIP)?;
    report.point("the PF's alias finds its driver", || {
        modprobe(&alias(&pf)?)?;
        equal("driver of the PF", pf.driver().as_deref(), Some("hisi_zip"))
    });
    pf.enable_vfs(1, false)?;
    let vf = pf.virtual_function(0)?;
    report.point("a VF's alias for VFIO finds both drivers", || {
        modprobe(&vfio_alias(&vf)?)?;
        for driver in [Driver::C, Driver::Rust] {
            equal(
                host::module_of(driver),
                is_loaded(host::module_of(driver)),
                true,
            )?;
        }
        equal("driver of the VF", vf.driver(), None)
    });
    report.point(
        "of two vfio.ko ours is loaded, of the others the kernel's",
        || {
            for (module, ours) in [
                ("vfio", true),
                (host::module_of(Driver::Rust), true),
                (host::module_of(Driver::C), false),
                ("vfio_pci_core", false),
            ] {
                equal(module, out_of_tree(module)?, ours)?;
            }
            Ok(())
        },
    );
    modprobe("vfio_iommu_type1")?;
    for driver in [Driver::C, Driver::Rust, Driver::C, Driver::Rust] {
        report.point(
            &format!("the VF is switched to {}", host::module_of(driver)),
            || switch(&vf, driver, kind),
        );
    }
    report.point("the VF is given up", || {
        vf.unbind()?;
        ensure!(
            !debugfs::device(vf.name()).exists(),
            "its debug files are there after unbind"
        );
        sysfs::write(pf.path("sriov_numvfs"), "0")
    });
    // The C driver has worked here too.
    ZIP0.report_violations(report, false);
    Ok(())
}
