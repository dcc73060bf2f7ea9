// SPDX-License-Identifier: GPL-2.0

//! A bound VF.

use crate::{
    engine::Engine,
    mig::MigratableVf,
    qm::{
        pf::{
            PfLink,
            PfQm,
            V3, //
        },
        registers::Mode, //
    },
    regs::BAR2,
    reset::PfResetLock, //
};
use kernel::{
    dev_info,
    device::Bound,
    page::PAGE_SIZE,
    pci,
    prelude::*, //
};

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
    pub(crate) pf_reset_lock: PfResetLock,
}

impl HisiAcc {
    /// The data of the VF `pdev`, which is being bound.
    pub(crate) fn new(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> + '_ {
        let engine = Engine::from_device_id(pdev.device_id());
        let pf = engine.and_then(|engine| PfQm::from_vf(pdev, engine));
        let link = engine.and_then(|engine| Self::find_pf_link(pdev, engine, pf));

        try_pin_init!(Self {
            kind: match link {
                Some(link) => Kind::Migratable(KBox::pin_init(MigratableVf::new(pdev, link), GFP_KERNEL)?),
                None => Kind::Plain,
            },
            pf_reset_lock <- PfResetLock::new(pf),
        })
    }

    /// Returns what the VF needs to migrate, or `None` if it cannot.
    fn find_pf_link(pdev: &pci::Device<Bound>, engine: Engine, pf: Option<PfQm>) -> Option<PfLink> {
        let pf = pf.filter(|pf| pf.version() >= V3)?;
        let function = vfio::pci::vf_index(pdev)? + 1;
        // A guest needs the part of the BAR that it may reach mapped: KVM cannot emulate the 128-bit
        // accesses of its driver to the mailbox.
        let half = pdev.resource_len(BAR2).unwrap_or(0) / 2;
        if Mode::read(&pf) == Mode::VfCtrl && half < PAGE_SIZE as u64 {
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
    pub(crate) fn migratable(&self) -> Option<&MigratableVf> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Migratable(migratable) => Some(migratable),
        }
    }
}
