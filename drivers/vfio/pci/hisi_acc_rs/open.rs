// SPDX-License-Identifier: GPL-2.0

//! An open device: stopping and starting it, and its migration data.

use crate::{
    matching::{
        LocalDevice,
        Verified, //
    },
    qm::{
        pf::{
            PfLink,
            V3, //
        },
        registers::{
            EventHeads,
            RegisterPlacement,
            VfBar, //
        },
        vf::{
            BoundVfQm,
            IdleError,
            PauseError,
            Queues,
            VfQm, //
        }, //
    },
    regs::pf,
    stream::{
        self,
        Data,
        Image,
        Promise, //
    }, //
};
use kernel::{
    dev_err,
    device::Bound,
    io::Io,
    pci,
    prelude::*,
    sync::Arc, //
};
use vfio::migration::Failure;
use zerocopy::FromZeros;

/// The VF's configuration, as read from the device. It is constant while the VF is bound: the PF's
/// driver assigns the queues before it creates the VF, and removes them after the VF is gone.
#[derive(Clone, Copy)]
pub(crate) struct VfConfig {
    pub(crate) queues: Queues,
    pub(crate) local_device: LocalDevice,
}

impl VfConfig {
    /// Reads the configuration of the function `vf`, whose mailbox must not be used concurrently.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF is stopped, and those of [`BoundVfQm::query_queues`].
    pub(crate) fn query(vf: &BoundVfQm<'_>) -> Result<Self> {
        let link = vf.pf_link();
        if link.pf.is_stopped() {
            return Err(EIO);
        }
        let queues = vf.query_queues()?;
        Ok(Self {
            queues,
            local_device: LocalDevice {
                device: link.engine.device_id(),
                queue_count: queues.count,
                isolation: link.pf.io().read(pf::QUE_ISO_CFG).into_raw(),
                // CAST: The versions of `enum qm_hw_ver` are PCI revision IDs, which have 8 bits.
                hardware: link.pf.version() as u16,
            },
        })
    }
}

/// State that was loaded since the function was stopped.
#[derive(Clone, Copy)]
enum Loaded {
    /// Nothing that could be started: the guest has no driver for the function, or the PF is about
    /// to be reset.
    Nothing,
    /// The state of a function that the guest's driver has set up.
    Driver(EventHeads),
}

/// An open device.
pub(crate) struct OpenVf {
    pub(crate) qm: VfQm,
    placement: RegisterPlacement,
    loaded: Option<Loaded>,
}

impl OpenVf {
    /// Opens the VF `pdev`, whose own BAR is `bar`.
    ///
    /// # Errors
    ///
    /// Those of [`RegisterPlacement::window`] and of [`VfQm::new`].
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        link: &PfLink,
        bar: &Arc<VfBar>,
        placement: RegisterPlacement,
    ) -> Result<Self> {
        let window = placement.window(&link.pf, link.function)?;
        Ok(Self {
            qm: VfQm::new(pdev, link, window, bar.clone())?,
            placement,
            loaded: None,
        })
    }

    /// Accesses the VF `pdev`, provided that its registers are accessible and still where they were
    /// when the device was opened.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF is stopped, or if the registers have moved.
    pub(crate) fn access<'a>(&'a self, pdev: &'a pci::Device<Bound>) -> Result<BoundVfQm<'a>> {
        let link = self.qm.pf_link();
        if link.pf.is_stopped() {
            return Err(EIO);
        }
        // After a reset of the PF its driver does not restore the placement.
        if link.pf.version() > V3 && RegisterPlacement::read(&link.pf) != self.placement {
            dev_err!(
                self.qm.pdev(),
                "the PF has lost the setting of its migration registers; open the device again\n"
            );
            return Err(EIO);
        }
        self.qm.bind(pdev)
    }

    /// Stops the function: waits for its requests, and writes its contexts to memory.
    pub(crate) fn stop_function(
        &mut self,
        pdev: &pci::Device<Bound>,
        queues: Queues,
    ) -> Result<(), Failure> {
        let vf = self.access(pdev).map_err(Failure::Recoverable)?;
        let paused = vf.pause(queues).map_err(|e| match e {
            PauseError::Runs(e) => Failure::Recoverable(e),
            PauseError::Unknown(e) => Failure::Fatal(e),
        })?;
        let idle = vf.wait_until_idle();
        // From here on only the code below can start the function.
        match idle {
            Ok(()) => paused.keep_paused(),
            Err(IdleError::Busy(e)) => {
                return Err(match paused.resume() {
                    Ok(()) => Failure::Recoverable(e),
                    Err(_) => Failure::Fatal(e),
                });
            }
            Err(IdleError::ResetDue(e)) => {
                paused.keep_paused();
                return Err(Failure::Fatal(e));
            }
        }
        self.loaded = None;
        Ok(())
    }

    /// Starts a stopped function, if the guest's driver has set it up.
    ///
    /// Does nothing before and during a reset of the PF: the reset removes the queues of the
    /// function, and the guest's driver creates them again when the PF's driver notifies it.
    pub(crate) fn start_function(&mut self, pdev: &pci::Device<Bound>, queues: Queues) -> Result {
        let vf = self.qm.bind(pdev)?;
        let link = vf.pf_link();
        if link.pf.is_stopped() {
            return Ok(());
        }
        match self.loaded {
            Some(Loaded::Nothing) => {}
            Some(Loaded::Driver(heads)) => {
                vf.restart_queues(queues)?;
                vf.ring_event_queues(heads)?;
            }
            None if vf.is_set_up() && !link.pf.reset_is_due(link.engine) => vf.restart(queues)?,
            None => {}
        }
        self.loaded = None;
        Ok(())
    }

    /// Loads `state` into a stopped function.
    ///
    /// # Errors
    ///
    /// Those of [`OpenVf::access`] and of [`BoundVfQm::write_state`]. After an error, the function
    /// is not in a state that it could run from.
    pub(crate) fn load_function(&mut self, pdev: &pci::Device<Bound>, state: &Verified) -> Result {
        let vf = self.access(pdev)?;
        let link = vf.pf_link();
        let reset_is_due = link.pf.reset_is_due(link.engine);
        vf.write_state(state)?;
        self.loaded = Some(match state {
            Verified::Driver(state) if !reset_is_due => Loaded::Driver(state.events.heads()),
            Verified::Driver(_) | Verified::NoDriver => Loaded::Nothing,
        });
        Ok(())
    }

    /// Forgets the loaded state, which a reset of the function has destroyed.
    pub(crate) fn forget_loaded(&mut self) {
        self.loaded = None;
    }

    /// Returns an image that contains only the match data.
    fn match_data_image(config: &VfConfig, promise: Promise) -> Image {
        let VfConfig {
            queues,
            local_device,
        } = config;
        let mut image = Image::new_zeroed();
        image.magic.set(stream::MAGIC_V2);
        image.queue_count.set(queues.count.into());
        image.device.set(local_device.device.into());
        image.isolation.set(local_device.isolation);
        image.queue_base.set(queues.base.into());
        image.vf_state.set(stream::READY);
        image.major.set(stream::MAJOR);
        image.minor.set(stream::MINOR);
        image.set_extension(promise, local_device.hardware);
        image
    }

    /// Returns the match data, for a session that begins before the function is stopped. They
    /// promise the rest if there would be one now. If the guest loads its driver later, the rest is
    /// sent without a promise.
    ///
    /// Fails if a stop would fail, while the guest still runs: if a stop fails, QEMU resets the
    /// device.
    ///
    /// # Errors
    ///
    /// Those of [`OpenVf::access`], and [`EBUSY`] if the PF reports an error or does not take a
    /// message of the function.
    pub(crate) fn match_data(&self, pdev: &pci::Device<Bound>, config: &VfConfig) -> Result<Image> {
        let vf = self.access(pdev)?;
        vf.pf_link().pf.wait_for_no_error()?;
        vf.wait_for_messages_to_pf()?;
        Ok(Self::match_data_image(
            config,
            if vf.driver_ready() {
                Promise::State
            } else {
                Promise::Nothing
            },
        ))
    }

    /// Returns all data of a stopped function whose match data have been sent. The rest is included
    /// if there is one or if it was promised. A rest without queues denotes a function without a
    /// driver.
    pub(crate) fn save_rest(&self, pdev: &pci::Device<Bound>, begun: &Data) -> Result<Data> {
        let vf = self.access(pdev)?;
        let mut image = *begun.image();
        let ready = vf.read_state(&mut image)?;
        Ok(if ready || image.promises_state() {
            Data::whole(image)
        } else {
            Data::head(image, stream::MATCH_SIZE)
        })
    }

    /// Returns all data of a stopped function. Without a driver, these are the match data.
    pub(crate) fn save_all(&self, pdev: &pci::Device<Bound>, config: &VfConfig) -> Result<Data> {
        let vf = self.access(pdev)?;
        let mut image = Self::match_data_image(config, Promise::State);
        Ok(if vf.read_state(&mut image)? {
            Data::whole(image)
        } else {
            Self::data_without_driver(config)
        })
    }

    /// Returns the data of a function without a driver.
    fn data_without_driver(config: &VfConfig) -> Data {
        let mut image = Self::match_data_image(config, Promise::Nothing);
        image.vf_state.set(stream::NOT_READY);
        Data::head(image, stream::MATCH_SIZE)
    }

    /// Returns what the data of the function `vf` would be now, except for the addresses of its
    /// queue tables, which can only be read with a command.
    pub(crate) fn snapshot_live(vf: &BoundVfQm<'_>, config: &VfConfig) -> Data {
        if !vf.driver_ready() {
            return Self::data_without_driver(config);
        }
        let mut image = Self::match_data_image(config, Promise::State);
        vf.read_registers(&mut image);
        image.ifc_int_set.set(vf.messages_to_pf());
        Data::whole(image)
    }
}
