// SPDX-License-Identifier: GPL-2.0

//! One of two hosts fails on purpose: the other one, which waits for its part, must not wait in
//! vain. Both hosts run this.

use anyhow::{Result, bail};

use super::two_hosts::Site;
use crate::Options;
use crate::control::Report;
use crate::sysfs;

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let fails = options.choice("fails", &["no", "tells", "dies"])?;
    let mut site = Site::prepare(options)?;
    let is_first = site.other.is_first();
    // Nobody comes as far as to need a guest.
    site.part(report, "the guest moves", |site| match fails {
        "tells" => bail!("on purpose"),
        // An emergency restart: the kernel says nothing to anybody any more.
        "dies" => Ok(sysfs::write("/proc/sysrq-trigger", "b")?),
        _ if is_first => site.give(1),
        _ => site.take(),
    })?;
    site.end(report)
}
