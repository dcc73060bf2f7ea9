// SPDX-License-Identifier: GPL-2.0

//! The domain of `Documentation/admin-guide/guest.xml`, with a guest at work.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use linux::sysfs::Function;
use monitor::{CONSOLE, Guest, Orders};
use protocol::channel::Order;
use protocol::{Container, Engine, Setup};

use super::virsh::virsh;
use crate::expect;
use crate::host::{Driver, module_of};
use crate::scenario::l2::migrate_under_load::{WITHIN, WORK};

/// The XML of the page.
const XML: &str = include_str!("../../../../../Documentation/admin-guide/guest.xml");

/// What the element `driver` has for iommufd, which libvirt 12.1 and later know.
const IOMMUFD: &str = " iommufd='yes'";
const MEMORY: &str = "<memory unit='MiB'>128</memory>";

const END_OF_NAME: &str = "<name>guest</name>";
const UUID: &str = "6f0d5a0c-6a4c-4bb5-9d0e-3a1f5f2c7b10";

/// The name that the XML gives it.
pub(super) const NAME: &str = "guest";
/// The base of the names of two pipes.
const CONTROL: &str = "/tmp/guest.control";
/// For libvirt to have a VF back.
const SOON: Duration = Duration::from_secs(60);

/// A domain's XML: that of the page with what the test's guest boots, and its serial ports.
#[derive(Clone, Debug)]
pub(super) struct Xml(String);

impl Xml {
    /// As it is on the page, with that VF, and the container and memory that were chosen.
    pub(super) fn of(setup: &Setup, guest: &Guest, vf: &Function) -> Result<Self> {
        let xml = Self::with_guest(&guest.command_line())?.vf(vf)?;
        let memory = format!("<memory unit='MiB'>{}</memory>", guest.mebibytes());
        let xml = xml.with(MEMORY, &memory)?;
        match setup.container.unwrap_or_default() {
            Container::Type1 => Ok(xml),
            Container::Iommufd => xml.with("<driver ", &format!("<driver{IOMMUFD} ")),
        }
    }

    fn with_guest(command_line: &str) -> Result<Self> {
        let boots = format!(
            "    <kernel>/guest/Image</kernel>\n    <initrd>/guest/initrd.cpio</initrd>\n    \
             <cmdline>{command_line}</cmdline>\n  </os>",
        );
        let ports = format!(
            "    <serial type='file'><source path='{CONSOLE}' append='on'/></serial>\n    \
             <serial type='pipe'><source path='{CONTROL}'/></serial>\n  </devices>",
        );
        // The same domain wherever a variant of the XML is used.
        let name = format!("{END_OF_NAME}\n  <uuid>{UUID}</uuid>");
        Xml(XML.to_owned())
            .with(END_OF_NAME, &name)?
            .with("  </os>", &boots)?
            .with("  </devices>", &ports)
    }

    /// With `new` in place of `old`, which has to be there once.
    fn with(self, old: &str, new: &str) -> Result<Self> {
        let count = self.0.matches(old).count();
        ensure!(count == 1, "{old} is {count} times in {}", self.0);
        Ok(Xml(self.0.replace(old, new)))
    }

    /// With `new` in place of the element of that name, which has no content.
    fn with_element(self, name: &str, new: &str) -> Result<Self> {
        let (_, rest) = self
            .0
            .split_once(&format!("<{name} "))
            .with_context(|| format!("there is no {name}: {}", self.0))?;
        let (attributes, _) = rest.split_once("/>").context("it has no end")?;
        let old = format!("<{name} {attributes}/>");
        self.with(&old, new)
    }

    /// With the name of that driver, or of none.
    pub(super) fn driver(self, driver: Option<Driver>) -> Result<Self> {
        let model = driver.map(|driver| format!(" model='{}'", module_of(driver)));
        let model = model.unwrap_or_default();
        let iommufd = match self.0.contains(IOMMUFD) {
            true => IOMMUFD,
            false => "",
        };
        self.with_element("driver", &format!("<driver{iommufd} name='vfio'{model}/>"))
    }

    /// With a VF that is bound to its driver by others.
    pub(super) fn unmanaged(self) -> Result<Self> {
        self.with("managed='yes'", "managed='no'")
    }

    /// With that VF.
    pub(super) fn vf(self, vf: &Function) -> Result<Self> {
        let (bus, rest) = vf.name()[5..].split_once(':').context("no bus")?;
        let (slot, function) = rest.split_once('.').context("no function")?;
        let address = format!(
            "<address domain='0x0000' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>"
        );
        self.with_element("address", &address)
    }

    /// The file with its VF alone.
    pub(super) fn device(&self, name: &str) -> Result<String> {
        let [begin, end] = ["<hostdev ", "</hostdev>"];
        let (_, rest) = self.0.split_once(begin).context("it has no VF")?;
        let (device, _) = rest.split_once(end).context("its VF has no end")?;
        Xml(format!("{begin}{device}{end}")).file(name)
    }

    /// The file with it.
    pub(super) fn file(&self, name: &str) -> Result<String> {
        let path = PathBuf::from(format!("/tmp/{name}.xml"));
        fs::write(&path, &self.0)?;
        Ok(path.display().to_string())
    }
}

/// The domain on this host.
pub(super) struct Domain {
    pub(super) guest: Guest,
    pub(super) orders: Orders,
}

impl Domain {
    /// Makes the guest's ports ready.
    pub(super) fn new(engine: Engine) -> Result<Self> {
        Ok(Domain {
            guest: Guest::behind_pipe(vec![engine], Path::new(&format!("{CONTROL}.out")))?,
            orders: Orders::new(Path::new(&format!("{CONTROL}.in")))?,
        })
    }

    /// As virsh has it.
    pub(super) fn state(&self) -> Result<String> {
        virsh(&["domstate", NAME])
    }

    /// The guest works where it is, with this VF, which has that driver.
    pub(super) fn works(&self, vf: &Function, driver: Driver) -> Result<()> {
        expect::equal("the domain", self.state()?.as_str(), "running")?;
        expect::equal(
            "driver of the VF",
            vf.driver().as_deref(),
            Some(module_of(driver)),
        )?;
        self.guest.does(WORK, WITHIN)?;
        let state = monitor::state(vf)?;
        expect::equal("state of the VF", state.as_str(), "RUNNING")?;
        let load = self.guest.load();
        ensure!(load.is_flawless(), "{load}");
        Ok(())
    }

    /// The guest carries out an order.
    pub(super) fn obeys(&mut self, order: Order) -> Result<()> {
        self.guest.obeys(&mut self.orders, order, WITHIN)
    }

    /// Libvirt has no VF any more: it is as before it was managed.
    pub(super) fn has_left(&self, vf: &Function) -> Result<()> {
        expect::eventually("the VF to be without a driver", SOON, || {
            Ok(vf.driver().is_none())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the test does to the page's XML leaves no line of it out.
    #[test]
    fn the_xml_of_the_page_is_filled_in() {
        let filled = Xml::with_guest("console=ttyAMA0").unwrap();
        let mut lines = filled.0.lines();
        for line in XML.lines() {
            assert!(lines.any(|filled| filled == line), "{line}");
        }
        assert!(filled.0.contains("<cmdline>console=ttyAMA0</cmdline>"));
        assert_eq!(filled.0.matches("<serial ").count(), 2);
    }

    #[test]
    fn driver_and_vf_are_replaced() {
        let c = Xml(XML.to_owned()).driver(Some(Driver::C)).unwrap();
        assert!(c.0.contains("model='hisi_acc_vfio_pci'/>"));
        let none = Xml(XML.to_owned()).driver(None).unwrap();
        assert!(none.0.contains("<driver name='vfio'/>"));
        let iommufd = c.with("<driver ", &format!("<driver{IOMMUFD} ")).unwrap();
        let none = iommufd.driver(None).unwrap();
        assert!(none.0.contains("<driver iommufd='yes' name='vfio'/>"));
    }
}
