// SPDX-License-Identifier: GPL-2.0

//! An open device: how it is stopped and started, and its data.

use crate::{
    ffi::VfQm,
    hal::Mode,
    matching::{
        Expected,
        Verified, //
    },
    mig::Hardware,
    qm::{
        PauseError,
        Queues, //
    },
    regs::pf,
    wire::{
        self,
        Data,
        Image, //
    }, //
};
use kernel::{
    io::Io,
    pci,
    prelude::*, //
};
use vfio::migration::Failure;
use zerocopy::FromZeros;

/// What a device is, as it has told itself.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) queues: Queues,
    pub(crate) expected: Expected,
}

impl Identity {
    /// Asks the function `vf`, whose mailbox must be nobody else's.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::queues`].
    fn ask(vf: &VfQm, hw: &Hardware) -> Result<Self> {
        let queues = vf.queues()?;
        Ok(Self {
            queues,
            expected: Expected {
                device: hw.engine.device_id(),
                queue_count: queues.count,
                isolation: hw.pf.io().read(pf::QUE_ISO_CFG).into_raw(),
            },
        })
    }
}

/// An open device.
pub(crate) struct Open {
    pub(crate) vf: VfQm,
    pub(crate) identity: Identity,
    /// Whether the guest's driver has set the function up, if that is known since it was stopped.
    ready: Option<bool>,
}

impl Open {
    /// Reaches for the registers of the VF `pdev` and, unless it is known, asks it what it is. Its
    /// mailbox must be nobody else's.
    ///
    /// The answer is good for as long as the VF is bound: its queues are given to it before it
    /// appears, and it disappears before they are taken.
    ///
    /// # Errors
    ///
    /// Those of [`Mode::connect`], of [`VfQm::new`] and of [`VfQm::queues`].
    pub(crate) fn new(
        pdev: &pci::Device,
        hw: &Hardware,
        mode: Mode,
        known: Option<Identity>,
    ) -> Result<Self> {
        let hal = mode.connect(pdev, &hw.pf, hw.function)?;
        let vf = VfQm::new(pdev, &hw.pf, hal)?;
        let identity = match known {
            Some(identity) => identity,
            None => Identity::ask(&vf, hw)?,
        };
        Ok(Self {
            vf,
            identity,
            ready: None,
        })
    }

    /// Stops the function: what it has begun is done, and its contexts are in memory.
    pub(crate) fn stop(&mut self, hw: &Hardware) -> Result<(), Failure> {
        let paused = self.vf.pause(self.identity.queues).map_err(|e| match e {
            PauseError::Runs(e) => Failure::Kept(e),
            PauseError::Unknown(e) => Failure::Broken(e),
        })?;
        match self.vf.settle(&hw.pf, hw.engine) {
            Ok(()) => paused.commit(),
            Err(why) => {
                return Err(match paused.resume() {
                    Ok(()) => Failure::Kept(why),
                    Err(_) => Failure::Broken(why),
                });
            }
        }
        self.ready = None;
        Ok(())
    }

    /// Starts a stopped function, if the guest's driver has set it up.
    pub(crate) fn start(&self) -> Result {
        if self.ready.unwrap_or_else(|| self.vf.driver_ready()) {
            self.vf.start(self.identity.queues)?;
        }
        Ok(())
    }

    /// Loads a stopped function.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::load`]; the function is in no state that it could go on from.
    pub(crate) fn load(&mut self, state: &Verified) -> Result {
        self.vf.load(state)?;
        self.ready = Some(matches!(state, Verified::Driver(_)));
        Ok(())
    }

    /// An image with nothing but the match data.
    fn header(&self, follows: u32) -> Image {
        let Identity { queues, expected } = self.identity;
        let mut image = Image::new_zeroed();
        image.magic.set(wire::MAGIC_V2);
        image.queue_count.set(queues.count.into());
        image.device.set(expected.device.into());
        image.isolation.set(expected.isolation);
        image.queue_base.set(queues.base.into());
        image.vf_state.set(wire::READY);
        image.major.set(wire::MAJOR);
        image.minor.set(wire::MINOR);
        image.follows.set(follows);
        image
    }

    /// The match data, of a session that begins before the function stops. The rest is promised if
    /// there would be one now; a driver that the guest loads later still has it sent.
    pub(crate) fn match_data(&self) -> Image {
        self.header(if self.vf.driver_ready() {
            wire::FOLLOWS_STATE
        } else {
            wire::FOLLOWS_NOTHING
        })
    }

    /// All data of a stopped function, of which the match data have been sent: with the rest if
    /// there is one or it was promised. A rest without queues is that of a function without
    /// driver.
    pub(crate) fn save_rest(&mut self, begun: &Data) -> Result<Data> {
        let mut image = *begun.image();
        let ready = self.vf.save(&mut image)?;
        self.ready = Some(ready);
        Ok(if ready || image.follows.get() == wire::FOLLOWS_STATE {
            Data::whole(image)
        } else {
            Data::head(image, wire::MATCH_SIZE)
        })
    }

    /// All data of a stopped function; of one without driver these are the match data.
    pub(crate) fn save_all(&mut self) -> Result<Data> {
        let mut image = self.header(wire::FOLLOWS_STATE);
        let ready = self.vf.save(&mut image)?;
        self.ready = Some(ready);
        Ok(if ready {
            Data::whole(image)
        } else {
            self.without_driver()
        })
    }

    /// Data of a function without driver.
    fn without_driver(&self) -> Data {
        let mut image = self.header(wire::FOLLOWS_NOTHING);
        image.vf_state.set(wire::NOT_READY);
        Data::head(image, wire::MATCH_SIZE)
    }

    /// What the function's data would be now, but for the tables of its queues: their addresses
    /// cannot be had without a command.
    pub(crate) fn peek(&self) -> Data {
        if !self.vf.driver_ready() {
            return self.without_driver();
        }
        let mut image = self.header(wire::FOLLOWS_STATE);
        self.vf.read_registers(&mut image);
        image.ifc_int_set.set(self.vf.messages_to_pf());
        Data::whole(image)
    }
}
