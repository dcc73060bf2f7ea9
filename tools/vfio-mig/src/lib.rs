// SPDX-License-Identifier: GPL-2.0

//! What the program `vfio-mig` consists of.
//!
//! - `cli` has the arguments, and `commands` one file for each command.
//! - `root` reads the files of a host, live or saved, and `device` gathers what they show of one
//!   VFIO device.
//! - `hisi` has the formats of the debug files of hisi_acc_vfio_pci_rs.
//! - `answer` is what a command returns; `output` prints it as text or as JSON.

pub mod answer;
pub mod cli;
pub mod commands;
pub mod device;
mod duration;
pub mod errno;
pub mod hisi;
pub mod kernel_config;
pub mod knowledge;
mod memory_size;
pub mod migration_data;
pub mod output;
pub mod place;
pub mod request;
pub mod root;
pub mod schema;
pub mod state;
mod style;
mod table;
mod words;

use std::process::ExitCode;

/// Runs the command of `arguments`, and prints its answer or why there is none.
pub fn run(arguments: &cli::Arguments) -> ExitCode {
    let result = commands::run(arguments);
    output::finish(result)
}
