// SPDX-License-Identifier: GPL-2.0

//! The state of a stopped function, from its registers into an image and back.

use crate::{
    ffi::{
        Command,
        VfQm, //
    },
    matching::{
        DriverState,
        Verified, //
    },
    regs::function::{
        AEQ_INT_MASK,
        EQ_INT_MASK,
        IFC_INT_MASK,
        IFC_INT_SOURCE,
        PAGE_SIZE,
        QUE_ISO_CFG,
        VF_STATE, //
    },
    wire::{
        self,
        Image, //
    },
};
use kernel::{
    io::Io,
    prelude::*, //
};
use zerocopy::byteorder::little_endian::U32;

impl VfQm {
    /// Reads the state of a stopped function into `image`, which has the match data. Returns
    /// whether there was any: a function without driver has none.
    ///
    /// What the function has to say to the PF is not asked again: it was found to be nothing when
    /// the function was stopped.
    ///
    /// Nothing is written. The C driver acknowledges both event queues at the end. That arms
    /// their interrupts on the source, after the state was read: the image is the same without,
    /// the destination arms them when it writes the contexts, and on a source that starts again
    /// the guest does it when it has handled what is pending.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::mailbox_read`].
    pub(crate) fn save(&self, image: &mut Image) -> Result<bool> {
        if !self.driver_ready() {
            return Ok(false);
        }

        self.read_registers(image);
        image.sqc_dma.set(self.mailbox_read(Command::SqcBase)?);
        image.cqc_dma.set(self.mailbox_read(Command::CqcBase)?);
        Ok(true)
    }

    /// Reads into `image` what of a function's state can be had without a command, but for
    /// messages to the PF. That can be done at any time; of a function that runs it is what was true
    /// one after the other.
    pub(crate) fn read_registers(&self, image: &mut Image) {
        let io = self.hal().function();
        let events = self.hal().event_contexts();
        image.aeq_int_mask.set(io.read(AEQ_INT_MASK).into_raw());
        image.eq_int_mask.set(io.read(EQ_INT_MASK).into_raw());
        image.ifc_int_source.set(io.read(IFC_INT_SOURCE).into_raw());
        image.ifc_int_mask.set(io.read(IFC_INT_MASK).into_raw());
        image.page_size.set(io.read(PAGE_SIZE).into_raw());
        image.eqc = events.eqc.map(U32::new);
        image.aeqc = events.aeqc.map(U32::new);
        image.eqe_dma.set(wire::queue_address(&events.eqc));
        image.aeqe_dma.set(wire::queue_address(&events.aeqc));
    }

    /// Writes a verified state to a stopped function.
    ///
    /// Whether the function is set up is said last. On a failure it is said not to be, and the
    /// function is in no state that it could run from.
    ///
    /// # Errors
    ///
    /// Those of [`VfQm::mailbox`].
    pub(crate) fn load(&self, state: &Verified) -> Result {
        let (loaded, ready) = match state {
            Verified::NoDriver => (Ok(()), false),
            Verified::Driver(state) => {
                let loaded = self.load_registers(state);
                (loaded, loaded.is_ok())
            }
        };
        self.hal()
            .function()
            .write_reg(VF_STATE::zeroed().with_not_ready(!ready));
        loaded
    }

    /// What the source had of messages between PF and VF is not written: those that are pending
    /// are forgotten in the end and new ones let through, whatever it was.
    fn load_registers(&self, state: &DriverState) -> Result {
        let io = self.hal().function();
        io.write_reg(AEQ_INT_MASK::from_raw(state.aeq_int_mask));
        io.write_reg(EQ_INT_MASK::from_raw(state.eq_int_mask));
        io.write_reg(QUE_ISO_CFG::from_raw(state.isolation));
        io.write_reg(PAGE_SIZE::from_raw(state.page_size as u32));
        self.hal().set_event_contexts(&state.events);
        self.mailbox(Command::SqcBase, state.sqc.get())?;
        self.mailbox(Command::CqcBase, state.cqc.get())?;
        self.open_messages();
        Ok(())
    }

    /// Forgets pending messages from the PF and lets new ones through.
    fn open_messages(&self) {
        let io = self.hal().function();
        io.write_reg(IFC_INT_SOURCE::from_raw(1));
        io.write_reg(IFC_INT_MASK::zeroed());
    }
}
