// SPDX-License-Identifier: GPL-2.0

//! Both VFIO drivers are installed, with equal aliases: which one libvirt takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use linux::sysfs::{self, Function};

use super::domain::{NAME, Xml};
use super::virsh::{run, virsh};
use crate::expect::equal;
use crate::host::{Driver, module_of};

/// Where the modules of this kernel are.
pub(in crate::scenario) fn modules() -> Result<PathBuf> {
    let release = sysfs::read("/proc/sys/kernel/osrelease")?;
    Ok(Path::new("/lib/modules").join(release.trim()))
}

/// The lines of modules.alias by which a VF of ZIP finds a VFIO driver.
fn aliases(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("alias vfio_pci:v000019E5d0000A251"))
        .collect()
}

/// The drivers whose aliases these are.
pub(in crate::scenario) fn drivers(text: &str) -> Vec<&str> {
    let words = aliases(text)
        .into_iter()
        .map(|line| line.rsplit(' ').next());
    words.flatten().collect()
}

/// The file with those lines in reverse.
fn reversed(text: &str) -> String {
    let mut others = aliases(text).into_iter().rev();
    let lines = text.lines().map(|line| match aliases(line).is_empty() {
        true => line,
        false => others.next().unwrap_or(line),
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// modules.alias as depmod writes it when this module was installed last.
fn installed_last(file: &Path) -> Result<String> {
    let aside = Path::new("/tmp/module.ko");
    std::fs::copy(file, aside)?;
    std::fs::remove_file(file)?;
    run(&["depmod"])?;
    let alone = sysfs::read(modules()?.join("modules.alias"))?;
    equal("aliases of one driver", aliases(&alone).len(), 1)?;
    std::fs::copy(aside, file)?;
    run(&["depmod"])?;
    sysfs::read(modules()?.join("modules.alias"))
}

/// The stock driver's line comes first, whichever of the two was installed last: depmod goes by
/// modules.order, which has the kernel's own modules alone.
pub(super) fn order_of_installation() -> Result<()> {
    let modules = modules()?;
    let stock = "kernel/drivers/vfio/pci/hisilicon/hisi-acc-vfio-pci.ko";
    let dependencies = sysfs::read(modules.join("modules.dep"))?;
    let files = dependencies
        .lines()
        .filter_map(|line| line.split(':').next());
    let ours = files
        .filter(|file| file.starts_with("updates/"))
        .find(|file| file.ends_with("/hisi-acc-vfio-pci-rs.ko"))
        .context("the Rust driver is not installed")?;
    for last in [ours, stock] {
        let text = installed_last(&modules.join(last))?;
        let expected = [Driver::C, Driver::Rust].map(module_of);
        equal(last, drivers(&text), expected.to_vec())?;
    }
    Ok(())
}

/// The driver that libvirt gives the VF to, for a domain of this XML.
fn taken(xml: &Xml, vf: &Function) -> Result<String> {
    virsh(&["create", &xml.file("tie")?, "--paused"])?;
    let driver = vf.driver().context("the VF has no driver")?;
    virsh(&["destroy", NAME])?;
    Ok(driver)
}

/// Without a name libvirt takes the first line. The name in the XML counts in either order.
pub(super) fn name_decides(xml: &Xml, vf: &Function) -> Result<()> {
    let file = modules()?.join("modules.alias");
    let text = sysfs::read(&file)?;
    for (text, first) in [(reversed(&text), Driver::Rust), (text, Driver::C)] {
        sysfs::write(&file, &text)?;
        let unnamed = taken(&xml.clone().driver(None)?, vf)?;
        equal("driver of the VF", unnamed.as_str(), module_of(first))?;
        let other = first.other();
        let named = taken(&xml.clone().driver(Some(other))?, vf)?;
        equal("driver of the VF", named.as_str(), module_of(other))?;
    }
    Ok(())
}

/// A VF that has its driver already keeps it if libvirt is not to manage it, and only then.
pub(super) fn driver_is_kept(xml: &Xml, vf: &Function) -> Result<()> {
    let unnamed = xml.clone().vf(vf)?.driver(None)?;
    let [c, rust] = [Driver::C, Driver::Rust].map(module_of);
    let driverctl = |words: &[&str]| run(&[&["driverctl", "--nosave"], words].concat());
    driverctl(&["set-override", vf.name(), rust])?;
    equal("driver of the VF", vf.driver().as_deref(), Some(rust))?;
    let taken_managed = taken(&unnamed, vf)?;
    equal("of one that is managed", taken_managed.as_str(), c)?;
    // From here on libvirt does not unbind the VF, whatever the XML says.
    driverctl(&["set-override", vf.name(), rust])?;
    let kept = taken(&unnamed.unmanaged()?, vf)?;
    equal("of one that is not managed", kept.as_str(), rust)?;
    equal("afterwards", vf.driver().as_deref(), Some(rust))?;
    // No driver would take the VF then, which driverctl reports as a failure.
    driverctl(&["--noprobe", "unset-override", vf.name()])?;
    equal("in the end", vf.driver(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_vf_change_places_and_no_others() {
        let vf = "alias vfio_pci:v000019E5d0000A251sv*";
        let other = "alias vfio_pci:v000019E5d0000A256sv* c\n";
        let text = format!("# Aliases\n{vf} c\n{other}{vf} rust\n");
        assert_eq!(drivers(&text), ["c", "rust"]);
        let expected = format!("# Aliases\n{vf} rust\n{other}{vf} c\n");
        assert_eq!(reversed(&text), expected);
    }
}
