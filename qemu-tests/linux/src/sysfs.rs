// SPDX-License-Identifier: GPL-2.0

//! PCI functions as sysfs shows them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

const DEVICES: &str = "/sys/bus/pci/devices";
/// Where trace events are enabled and read.
pub const TRACING: &str = "/sys/kernel/tracing";

/// Reads a file, with its name in the error.
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file, with its name and the text in the error.
pub fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("cannot write {text:?} to {}", path.display()))
}

fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// A PCI function, by its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function(String);

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Function {
    /// All functions with this vendor and device, in the order of their addresses.
    pub fn find_all(vendor: u16, device: u16) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(DEVICES).with_context(|| format!("cannot list {DEVICES}"))? {
            let function = Function(entry?.file_name().to_string_lossy().into_owned());
            if function.number("vendor")? == u64::from(vendor)
                && function.number("device")? == u64::from(device)
            {
                found.push(function);
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// The first function with this vendor and device.
    pub fn find(vendor: u16, device: u16) -> Result<Self> {
        let first = Self::find_all(vendor, device)?.into_iter().next();
        first.with_context(|| format!("the machine has no PCI function {vendor:04x}:{device:04x}"))
    }

    /// The address, as in the names of folders.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The path of a file in the function's folder.
    pub fn path(&self, file: &str) -> PathBuf {
        Path::new(DEVICES).join(&self.0).join(file)
    }

    /// A file that holds a number, hexadecimal with 0x or decimal.
    pub fn number(&self, file: &str) -> Result<u64> {
        let text = read(self.path(file))?;
        let text = text.trim();
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.with_context(|| format!("{file} of {self} is {text:?}, no number"))
    }

    /// The driver the function is bound to.
    pub fn driver(&self) -> Option<String> {
        link_name(&self.path("driver"))
    }

    /// The number of the function's IOMMU group.
    pub fn iommu_group(&self) -> Result<String> {
        link_name(&self.path("iommu_group"))
            .with_context(|| format!("{self} has no IOMMU group; is the SMMU on?"))
    }

    /// The VF with this number, from 0.
    pub fn virtual_function(&self, index: u32) -> Result<Self> {
        let name = link_name(&self.path(&format!("virtfn{index}")));
        Ok(Function(
            name.with_context(|| format!("{self} has no VF {index}"))?,
        ))
    }

    /// Enables VFs; their driver is probed by the kernel only if `probe` says so.
    pub fn enable_vfs(&self, count: u32, probe: bool) -> Result<()> {
        write(
            self.path("sriov_drivers_autoprobe"),
            if probe { "1" } else { "0" },
        )?;
        write(self.path("sriov_numvfs"), &count.to_string())
    }

    /// Unbinds the function from its driver, if it has one.
    pub fn unbind(&self) -> Result<()> {
        match self.driver() {
            Some(_) => write(self.path("driver/unbind"), &self.0),
            None => Ok(()),
        }
    }

    /// Binds the function to `driver` and to no other.
    pub fn bind(&self, driver: &str) -> Result<()> {
        if self.driver().as_deref() == Some(driver) {
            return Ok(());
        }
        self.unbind()?;
        write(self.path("driver_override"), driver)?;
        write("/sys/bus/pci/drivers_probe", &self.0)?;
        let bound = self.driver();
        ensure!(
            bound.as_deref() == Some(driver),
            "{self}: expected driver {driver}, got {bound:?}; the kernel log has the reason",
        );
        Ok(())
    }

    /// Resets the function as an operator would.
    pub fn reset(&self) -> Result<()> {
        write(self.path("reset"), "1")
    }
}
