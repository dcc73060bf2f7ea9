// SPDX-License-Identifier: GPL-2.0

//! VFIO PCI driver for the VFs of HiSilicon accelerators, with live migration.
//!
//! The crate `vfio` has the parts that all VFIO drivers share. The files of this driver form
//! layers, in which a file imports only files of lower layers or of its own:
//!
//! - this file: the callbacks of the VFIO core and the table of devices
//! - `debugfs`: shows the state and runs `command`s on it
//! - `device` and `mig`: the data of a VF, and the callbacks of the state machine
//! - `history`: the last sessions, with `failure_registers`
//! - `open` and `image`: an open VF, and its state from registers to a stream and back
//! - the migration stream: `matching` checks each field of it against the VF, for example the queue
//!   count; `stream` is its layout; `reject` is why one is refused
//! - `reset`: mutual exclusion of resets
//! - `qm::vf`, `qm::registers` and `qm::pf`: the queue managers of VF and PF
//! - `parameters`, `trace`, `regs` and `engine`
//!
//! `unsafe` occurs in `qm::pf::ffi`, `qm::vf::ffi`, `trace::ffi` and `parameters::ffi` only.

// Only the debugfs files use some of the functions.
#![cfg_attr(not(CONFIG_VFIO_DEBUGFS), allow(dead_code))]

mod command;
#[cfg(CONFIG_VFIO_DEBUGFS)]
mod debugfs;
mod device;
mod engine;
mod failure_registers;
mod history;
mod image;
mod matching;
mod mig;
mod open;
mod parameters;
mod qm;
mod regs;
mod reject;
mod reset;
mod stream;
mod trace;

use self::{
    device::HisiAcc,
    engine::{
        Engine,
        VENDOR, //
    },
    qm::registers::RegisterPlacement,
    regs::BAR2, //
};
use kernel::{
    device::Bound,
    pci,
    prelude::*, //
};
use vfio::{
    device::{
        Device,
        Operations, //
    },
    device_id::{
        DeviceId,
        IdTable, //
    },
    migration::Migration, //
};

vfio::vfio_device_table!(
    PCI_TABLE,
    [
        DeviceId::vfio_override(VENDOR, Engine::Sec.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Hpre.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Zip.device_id()),
    ]
);

impl Operations for HisiAcc {
    const NAME: &'static CStr = c"hisi-acc-vfio-pci-rs";
    const ID_TABLE: IdTable = &PCI_TABLE;
    #[cfg(CONFIG_VFIO_DEBUGFS)]
    const DEBUGFS: Option<vfio::debugfs::Directory<Self>> = Some(debugfs::DIRECTORY);

    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> {
        HisiAcc::new(pdev)
    }

    fn migration(&self) -> Option<&dyn Migration> {
        self.migratable()
            .map(|migratable| &migratable.machine as &dyn Migration)
    }

    fn open(dev: &Device<Self, Bound>) -> Result {
        match dev.migratable() {
            Some(migratable) => migratable.open(dev.pdev()),
            None => Ok(()),
        }
    }

    fn user_accessible_len(dev: &Device<Self, Bound>, index: u32) -> Option<u64> {
        // The upper half holds the migration registers, unless they are in the PF.
        let hidden = index == BAR2
            && dev
                .migratable()
                .is_some_and(|migratable| migratable.placement() == RegisterPlacement::VfBar);
        hidden.then(|| dev.pdev().resource_len(BAR2).map_or(0, |len| len / 2))
    }

    fn reset_prepare(dev: &Device<Self, Bound>) {
        trace::reset_prepare(dev.pdev());
        dev.pf_reset_lock.begin_reset(dev.pdev());
    }

    fn reset_done(dev: &Device<Self, Bound>) {
        trace::reset_done(dev.pdev());
        if let Some(migratable) = dev.migratable() {
            migratable.reset_done(dev.pdev());
        }
        dev.pf_reset_lock.end_reset();
    }
}

vfio::module_vfio_pci_driver! {
    type: HisiAcc,
    name: "hisi_acc_vfio_pci_rs",
    authors: ["The hisi-acc-vfio-pci-rs authors"],
    description: "VFIO PCI driver with live migration for HiSilicon accelerator VFs",
    license: "GPL v2",
}
