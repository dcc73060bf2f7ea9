// SPDX-License-Identifier: GPL-2.0

//! A kernel that accepts only modules with a signature, as with Secure Boot. Those that are built
//! outside of it have none.

use anyhow::{Result, bail};
use control::Report;
use linux::sysfs;
use protocol::Setup;
use rustix::io::Errno;

use crate::expect::equal;
use crate::host;
use crate::modules::Modules;

const ENFORCE: &str = "/sys/module/module/parameters/sig_enforce";

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let ours = host::modules(setup)?;
    // It cannot be turned off again.
    sysfs::write(ENFORCE, "1")?;
    report.point("vfio.ko without a signature takes vfio-pci away", || {
        let Err(error) = ours.load("vfio_pci") else {
            bail!("vfio-pci was loaded");
        };
        let errno = error.root_cause().downcast_ref::<Errno>();
        equal("errno", errno, Some(&Errno::KEYREJECTED))
    });
    report.point("the stock vfio.ko brings it back", || {
        Modules::find(false)?.load("vfio_pci")
    });
    Ok(())
}
