// SPDX-License-Identifier: GPL-2.0

//! A bound VF, as the VFIO core sees it.

use crate::{
    arc::MigArc,
    debugfs,
    engine::Engine,
    ffi::{
        PfQm,
        V3, //
    },
    hal::Mode,
    mig::{
        Hardware,
        Mig, //
    },
    reset::Exclusion,
    trace,
    wire, //
};
use kernel::{
    device::Bound,
    fs::File,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    }, //
};
use vfio::{
    device::{
        Device,
        Operations, //
    },
    migration::{
        self,
        Features,
        State,
        Support, //
    },
    region::BAR2, //
};

/// What kind of a device a VF is.
enum Kind {
    /// One like any other: vfio-pci-core does it all.
    Plain,
    /// One that can migrate, and that has something to hide for it.
    Migratable(Pin<KBox<Mig>>),
}

/// The driver's data of a bound VF.
#[pin_data]
pub(crate) struct HisiAcc {
    kind: Kind,
    #[pin]
    exclusion: Exclusion,
    #[pin]
    folder: Mutex<Option<debugfs::Folder>>,
}

impl HisiAcc {
    /// What the VF needs to migrate, or `None` if it cannot.
    fn hardware(pdev: &pci::Device<Bound>, engine: Engine, pf: Option<PfQm>) -> Option<Hardware> {
        let pf = pf.filter(|pf| pf.version() >= V3)?;
        let function = vfio::pci::vf_index(pdev)? + 1;
        Some(Hardware {
            engine,
            pf,
            function,
        })
    }

    /// The part that can migrate, if this is such a device.
    pub(crate) fn mig(&self) -> Option<&Mig> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Migratable(mig) => Some(mig),
        }
    }
}

impl Operations for HisiAcc {
    const NAME: &'static CStr = c"hisi-acc-vfio-pci-rs";

    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> {
        let engine = Engine::from_device_id(pdev.device_id());
        let pf = engine.and_then(|engine| PfQm::of(pdev, engine));
        let hardware = engine.and_then(|engine| Self::hardware(pdev, engine, pf));

        try_pin_init!(Self {
            kind: match hardware {
                Some(hw) => Kind::Migratable(KBox::pin_init(Mig::new(pdev, hw), GFP_KERNEL)?),
                None => Kind::Plain,
            },
            exclusion <- Exclusion::new(pf),
            folder <- new_mutex!(None, "HisiAcc::folder"),
        })
    }

    fn migration(&self) -> Option<Support<Self>> {
        self.mig()
            .map(|_| Support::new(Features::PRE_COPY.and(Features::P2P)))
    }

    fn open(dev: &Device<Self>) -> Result {
        match dev.mig() {
            Some(mig) => mig.open(dev.pdev()),
            None => Ok(()),
        }
    }

    fn close(dev: &Device<Self>) {
        if let Some(mig) = dev.mig() {
            mig.close();
        }
    }

    fn visible(dev: &Device<Self>, index: u32) -> Option<u64> {
        // The upper half has the migration registers, unless the PF has them.
        let hidden = index == BAR2 && dev.mig().is_some_and(|mig| mig.mode() == Mode::VfCtrl);
        hidden.then(|| dev.pdev().resource_len(BAR2).map_or(0, |len| len / 2))
    }

    fn registered(dev: &ARef<Device<Self>>) {
        if dev.mig().is_some() {
            *dev.folder.lock() = debugfs::create(dev);
        }
    }

    fn unregistering(dev: &Device<Self>) {
        let folder = dev.folder.lock().take();
        drop(folder);
    }

    fn reset_prepare(dev: &Device<Self>) {
        trace::reset_prepare(dev.pdev());
        dev.exclusion.begin(dev.pdev());
        if let Some(mig) = dev.mig() {
            mig.owner.reset_begin();
        }
    }

    fn reset_done(dev: &Device<Self>) {
        trace::reset_done(dev.pdev());
        dev.exclusion.end();
        if let Some(mig) = dev.mig() {
            mig.owner.reset_end();
        }
    }
}

impl migration::Operations for HisiAcc {
    fn set_state(dev: &Device<Self>, target: State) -> Result<Option<ARef<File>>> {
        let mig = dev.mig().ok_or(ENODEV)?;
        let info_v2 = dev.precopy_info_v2();

        mig.owner.with(|owner| {
            let origin = owner.state().ok_or(ENODEV)?;
            let mut current = origin;
            let mut file = None;
            while current != target {
                if mig.owner.in_reset() {
                    return Err(EBUSY);
                }
                let next = dev.next_state(current, target)?;
                let arc = MigArc::between(current, next).ok_or(EINVAL)?;
                file = owner
                    .walk(&mig.hw, arc, info_v2)
                    .inspect_err(|_| owner.turn_back(&mig.hw, origin))?;
                current = next;
            }
            Ok(file)
        })
    }

    fn state(dev: &Device<Self>) -> State {
        dev.mig().map_or(State::Running, Mig::state)
    }

    fn data_size(_dev: &Device<Self>) -> Result<usize> {
        Ok(wire::SIZE)
    }
}
