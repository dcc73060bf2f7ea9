// SPDX-License-Identifier: GPL-2.0

//! VFIO PCI driver for the VFs of HiSilicon accelerators, with live migration.
//!
//! What is general about a VFIO driver is in the crate `vfio`. From the outside in, this driver
//! is `device` (callbacks), `mig` (who owns what), `open` and `doing` (an open device, its arcs
//! and states), `qm` (what is done to the hardware), `hal` (where its registers are), `ffi`
//! (hisi_qm); beside them `session` (data files), `matching` and `wire` (the stream), `reset`,
//! `debugfs`, `history`, `symptoms` and `trace`.

mod arc;
mod debugfs;
mod device;
mod doing;
mod engine;
mod ffi;
mod hal;
mod history;
mod matching;
mod mig;
mod open;
mod qm;
mod record;
mod regs;
mod reset;
mod session;
mod symptoms;
mod trace;
mod wire;

use engine::{
    Engine,
    VENDOR, //
};
use vfio::pci::{
    DeviceId,
    IdTable, //
};

/// The driver.
struct Driver;

vfio::vfio_device_table!(
    PCI_TABLE,
    [
        DeviceId::vfio_override(VENDOR, Engine::Sec.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Hpre.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Zip.device_id()),
    ]
);

impl vfio::pci::Driver for Driver {
    type Ops = device::HisiAcc;

    const ID_TABLE: IdTable = &PCI_TABLE;
}

vfio::module_vfio_pci_driver! {
    type: Driver,
    name: "hisi_acc_vfio_pci_rs",
    authors: ["The hisi-acc-vfio-pci-rs authors"],
    description: "VFIO PCI driver with live migration for HiSilicon accelerator VFs",
    license: "GPL v2",
}
