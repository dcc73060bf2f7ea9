// SPDX-License-Identifier: GPL-2.0

//! The debug files of hisi_acc_vfio_pci_rs, as `Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs`
//! describes them, and the migration data of both drivers.

pub mod attr;
pub mod failure;
pub mod hex_dump;
pub mod history;
pub mod image;
pub mod match_data;
pub mod names;
pub mod refusal;

pub use crate::words::ParseError;

/// The folder of the files, below that of the device's migration.
pub const FOLDER: &str = "hisi_acc";

/// The files of the folder that can be read, the command file `debug` included.
pub const FILES: [&str; 7] = [
    "attr",
    "cmd_state",
    "data",
    "debug",
    "dev_data",
    "match",
    "migf_data",
];
