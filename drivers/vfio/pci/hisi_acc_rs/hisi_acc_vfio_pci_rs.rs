// SPDX-License-Identifier: GPL-2.0

//! VFIO PCI driver for the VFs of HiSilicon accelerators, with live migration.
//!
//! What is general about a VFIO driver is in the crate `vfio`. From the outside in, this driver
//! is `device` (callbacks), `mig` (who owns what, and what the state machine asks), `open` (an
//! open device), `qm` (what is done to the hardware), `hal` (where its registers are), `ffi`
//! (hisi_qm); beside them `matching`, `reject` and `stream` (the stream), `reset`, and what is told:
//! `debugfs`, `history`, `recent_ring`, `record`, `failure_registers` and `trace`.

// Some of what the debug files show is for them alone.
#![cfg_attr(not(CONFIG_VFIO_DEBUGFS), allow(dead_code))]

#[cfg(CONFIG_VFIO_DEBUGFS)]
mod debugfs;
#[cfg(not(CONFIG_VFIO_DEBUGFS))]
#[path = "no_debugfs.rs"]
mod debugfs;
mod device;
mod engine;
mod failure_registers;
mod ffi;
mod hal;
mod history;
mod matching;
mod mig;
mod open;
mod pf_link;
mod qm;
mod recent_ring;
mod record;
mod regs;
mod reject;
mod reset;
mod stream;
mod trace;

vfio::module_vfio_pci_driver! {
    type: device::HisiAcc,
    name: "hisi_acc_vfio_pci_rs",
    authors: ["The hisi-acc-vfio-pci-rs authors"],
    description: "VFIO PCI driver with live migration for HiSilicon accelerator VFs",
    license: "GPL v2",
}
