// SPDX-License-Identifier: GPL-2.0

//! A bound VF, as the VFIO core sees it.

use crate::{
    debugfs,
    engine::{
        Engine,
        VENDOR, //
    },
    ffi::{
        PfQm,
        V3, //
    },
    hal::{
        Mode,
        BAR2, //
    },
    mig::MigratableVf,
    pf_link::PfLink,
    reset::PfResetLock,
    trace, //
};
use kernel::{
    dev_info,
    device::Bound,
    page::PAGE_SIZE,
    pci,
    prelude::*, //
};
use vfio::{
    debugfs::Directory,
    device::{
        Device,
        Operations, //
    },
    migration::Migration,
    pci::{
        DeviceId,
        IdTable, //
    }, //
};

vfio::vfio_device_table!(
    PCI_TABLE,
    [
        DeviceId::vfio_override(VENDOR, Engine::Sec.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Hpre.device_id()),
        DeviceId::vfio_override(VENDOR, Engine::Zip.device_id()),
    ]
);

/// What kind of a device a VF is.
enum Kind {
    /// One like any other: vfio-pci-core does it all.
    Plain,
    /// One that can migrate, and that has something to hide for it.
    Migratable(Pin<KBox<MigratableVf>>),
}

/// The driver's data of a bound VF.
#[pin_data]
pub(crate) struct HisiAcc {
    kind: Kind,
    #[pin]
    exclusion: PfResetLock,
}

impl HisiAcc {
    /// Returns what the VF needs to migrate, or `None` if it cannot.
    fn hardware(pdev: &pci::Device<Bound>, engine: Engine, pf: Option<PfQm>) -> Option<PfLink> {
        let pf = pf.filter(|pf| pf.version() >= V3)?;
        let function = vfio::pci::vf_index(pdev)? + 1;
        // A guest needs the part of the BAR that it may reach mapped: KVM cannot emulate the 128-bit
        // accesses of its driver to the mailbox.
        let half = pdev.resource_len(BAR2).unwrap_or(0) / 2;
        if Mode::of(&pf) == Mode::VfCtrl && half < PAGE_SIZE as u64 {
            dev_info!(
                pdev,
                "cannot migrate: pages of {PAGE_SIZE} bytes are too large to split BAR 2\n"
            );
            return None;
        }
        Some(PfLink {
            engine,
            pf,
            function,
        })
    }

    /// The part that can migrate, if this is such a device.
    pub(crate) fn mig(&self) -> Option<&MigratableVf> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Migratable(mig) => Some(mig),
        }
    }
}

impl Operations for HisiAcc {
    const NAME: &'static CStr = c"hisi-acc-vfio-pci-rs";
    const ID_TABLE: IdTable = &PCI_TABLE;
    const DEBUGFS: Option<Directory<Self>> = debugfs::DIRECTORY;

    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> {
        let engine = Engine::from_device_id(pdev.device_id());
        let pf = engine.and_then(|engine| PfQm::of(pdev, engine));
        let hardware = engine.and_then(|engine| Self::hardware(pdev, engine, pf));

        try_pin_init!(Self {
            kind: match hardware {
                Some(hw) => Kind::Migratable(KBox::pin_init(MigratableVf::new(pdev, hw), GFP_KERNEL)?),
                None => Kind::Plain,
            },
            exclusion <- PfResetLock::new(pf),
        })
    }

    fn migration(&self) -> Option<&dyn Migration> {
        self.mig().map(|mig| &mig.machine as &dyn Migration)
    }

    fn open(dev: &Device<Self, Bound>) -> Result {
        match dev.mig() {
            Some(mig) => mig.open(dev.pdev()),
            None => Ok(()),
        }
    }

    fn user_accessible_len(dev: &Device<Self, Bound>, index: u32) -> Option<u64> {
        // The upper half has the migration registers, unless the PF has them.
        let hidden = index == BAR2 && dev.mig().is_some_and(|mig| mig.mode() == Mode::VfCtrl);
        hidden.then(|| dev.pdev().resource_len(BAR2).map_or(0, |len| len / 2))
    }

    fn reset_prepare(dev: &Device<Self, Bound>) {
        trace::reset_prepare(dev.pdev());
        dev.exclusion.begin(dev.pdev());
    }

    fn reset_done(dev: &Device<Self, Bound>) {
        trace::reset_done(dev.pdev());
        if let Some(mig) = dev.mig() {
            mig.reset_done(dev.pdev());
        }
        dev.exclusion.end();
    }
}
