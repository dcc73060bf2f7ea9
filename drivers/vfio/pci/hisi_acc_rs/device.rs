// SPDX-License-Identifier: GPL-2.0

//! The driver data of a bound VF.

use crate::{
    engine::Engine,
    mig::MigratableVf,
    qm::{
        pf::{
            PfLink,
            PfQm,
            V3, //
        },
        registers::RegisterPlacement, //
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

/// Kinds of VFs.
enum Kind {
    /// A VF that cannot migrate; vfio-pci-core handles all of it.
    Plain,
    /// A VF that can migrate, for which part of its BAR may be hidden from the user.
    Migratable(Pin<KBox<MigratableVf>>),
}

/// The driver data of a bound VF.
#[pin_data]
pub(crate) struct HisiAcc {
    kind: Kind,
    #[pin]
    pub(crate) pf_reset_lock: PfResetLock,
}

impl HisiAcc {
    /// Returns an initializer for the data of the VF `pdev`, which is being bound.
    pub(crate) fn new(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> + '_ {
        let engine = Engine::from_device_id(pdev.device_id());
        let pf = engine.and_then(|engine| PfQm::from_vf(pdev, engine));
        let link = engine.and_then(|engine| Self::find_pf_link(pdev, engine, pf));

        try_pin_init!(Self {
            kind: match link {
                Some(link) => Kind::Migratable(
                    KBox::pin_init(MigratableVf::new(pdev, link), GFP_KERNEL)?
                ),
                None => Kind::Plain,
            },
            pf_reset_lock <- PfResetLock::new(pf),
        })
    }

    /// Returns the link to the PF, which migration requires, or `None` if the VF cannot migrate.
    fn find_pf_link(pdev: &pci::Device<Bound>, engine: Engine, pf: Option<PfQm>) -> Option<PfLink> {
        let pf = pf.filter(|pf| pf.version() >= V3)?;
        let function = vfio::pci::vf_index(pdev)? + 1;
        // The part of the BAR that the guest may access must be mapped into the guest: its driver
        // accesses the mailbox with 128-bit accesses, which KVM cannot emulate.
        let half = pdev.resource_len(BAR2).unwrap_or(0) / 2;
        if RegisterPlacement::read(&pf) == RegisterPlacement::VfBar && half < PAGE_SIZE as u64 {
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

    /// Returns the part of the data that migration uses, or `None` if the VF cannot migrate.
    pub(crate) fn migratable(&self) -> Option<&MigratableVf> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Migratable(migratable) => Some(migratable),
        }
    }
}
