// SPDX-License-Identifier: GPL-2.0

//! A kernel that accepts only modules with a signature, as with Secure Boot. Those that are built
//! outside of it have none, unless somebody signs them.

use anyhow::Result;
use control::Report;
use linux::sysfs;
use protocol::Setup;
use rustix::io::Errno;

use super::refused_modules::{self, refuses};
use crate::expect::equal;
use crate::host;
use crate::modules::{Modules, out_of_tree, unload};

const ENFORCE: &str = "/sys/module/module/parameters/sig_enforce";

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    // It cannot be turned off again.
    sysfs::write(ENFORCE, "1")?;
    let signed = refused_modules::are_there();
    if signed {
        for refused in refused_modules::all()? {
            let name = format!("vfio.ko ({}) takes vfio-pci away", refused.fault);
            report.point(&name, || {
                let ours = host::modules(setup)?.with(&refused.file)?;
                refuses(&ours, "vfio_pci", Errno::KEYREJECTED)
            });
        }
    } else {
        report.point("vfio.ko without a signature takes vfio-pci away", || {
            refuses(&host::modules(setup)?, "vfio_pci", Errno::KEYREJECTED)
        });
    }
    report.point("the stock vfio.ko brings it back", || {
        Modules::find(false)?.load("vfio_pci")?;
        equal("this vfio.ko is loaded", out_of_tree("vfio")?, false)
    });
    if signed {
        report.point("so does this one with a signature", || {
            for module in ["vfio_pci", "vfio_pci_core", "vfio"] {
                unload(module)?;
            }
            host::modules(setup)?.load("vfio_pci")?;
            equal("this vfio.ko is loaded", out_of_tree("vfio")?, true)
        });
    }
    Ok(())
}
