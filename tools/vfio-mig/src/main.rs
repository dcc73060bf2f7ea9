// SPDX-License-Identifier: GPL-2.0

//! `vfio-mig`: shows, checks, compares and explains the live migration of VFIO devices.

use std::process::ExitCode;

use clap::Parser;
use vfio_mig::cli::Arguments;

fn main() -> ExitCode {
    vfio_mig::run(&Arguments::parse())
}
