// SPDX-License-Identifier: GPL-2.0

//! Transfer of a stopped function's state between its registers and an image.

use crate::{
    matching::{
        DriverState,
        Verified, //
    },
    qm::{
        pf::V5,
        registers::EventContexts,
        vf::{
            BoundVfQm,
            MailboxCommand, //
        }, //
    },
    regs::function::{
        AEQ_INT_MASK,
        EQ_INT_MASK,
        FUN_DB_DROP,
        IFC_INT_MASK,
        IFC_INT_SOURCE,
        PAGE_SIZE,
        QUE_ISO_CFG,
        VF_STATE, //
    },
    stream::{
        self,
        Image, //
    }, //
};
use kernel::{
    io::Io,
    prelude::*, //
};
use zerocopy::byteorder::little_endian::U32;

impl BoundVfQm<'_> {
    /// Reads the state of a stopped function into `image`, which already has the match data.
    /// Returns whether there is any state: a function without a driver has none.
    ///
    /// Messages to the PF are not read again: none were pending when the function was stopped.
    ///
    /// Finally rings the doorbells of the event queues, as the C driver does since Linux 6.16
    /// (3495cec07877, "hisi_acc_vfio_pci: add eq and aeq interruption restore"). The device may
    /// have written a completion while it was being stopped without raising the interrupt yet. The
    /// doorbell raises it, so that it migrates with the VM's interrupt controller.
    ///
    /// # Errors
    ///
    /// Those of [`BoundVfQm::mailbox_read`].
    pub(crate) fn read_state(&self, image: &mut Image) -> Result<bool> {
        if !self.driver_ready() {
            return Ok(false);
        }

        let events = self.read_registers(image);
        image
            .sqc_dma
            .set(self.mailbox_read(MailboxCommand::SqcBase)?);
        image
            .cqc_dma
            .set(self.mailbox_read(MailboxCommand::CqcBase)?);
        if image.eqe_dma.get() != 0 {
            self.ring_event_queues(events.heads())?;
        }
        Ok(true)
    }

    /// Reads into `image` the part of a function's state that needs no command, except for messages
    /// to the PF. Returns the contexts of the event queues. This can be called at any time; the
    /// registers of a running function may be inconsistent with one another.
    pub(crate) fn read_registers(&self, image: &mut Image) -> EventContexts {
        let io = self.registers().function_block();
        let events = self.registers().event_contexts();
        image.aeq_int_mask.set(io.read(AEQ_INT_MASK).into_raw());
        image.eq_int_mask.set(io.read(EQ_INT_MASK).into_raw());
        image.ifc_int_source.set(io.read(IFC_INT_SOURCE).into_raw());
        image.ifc_int_mask.set(io.read(IFC_INT_MASK).into_raw());
        image.page_size.set(io.read(PAGE_SIZE).into_raw());
        image.eqc = events.eqc.map(U32::new);
        image.aeqc = events.aeqc.map(U32::new);
        image.eqe_dma.set(stream::queue_address(&events.eqc));
        image.aeqe_dma.set(stream::queue_address(&events.aeqc));
        events
    }

    /// Writes a verified state to a stopped function.
    ///
    /// `VF_STATE` is set before the other registers are written, as in the C driver: it is not
    /// known whether hardware accepts them otherwise. After a failure `VF_STATE` is cleared, and
    /// the function is not in a state that it could run from.
    ///
    /// # Errors
    ///
    /// Those of [`BoundVfQm::mailbox_write`].
    pub(crate) fn write_state(&self, state: &Verified) -> Result {
        let Verified::Driver(state) = state else {
            self.set_driver_ready(false);
            return Ok(());
        };
        self.set_driver_ready(true);
        self.write_registers(state)
            .inspect_err(|_| self.set_driver_ready(false))
    }

    /// Sets or clears `VF_STATE`: whether the guest's driver has set the function up.
    fn set_driver_ready(&self, ready: bool) {
        self.registers()
            .function_block()
            .write_reg(VF_STATE::zeroed().with_not_ready(!ready));
    }

    /// Writes the registers of `state`, except for the source's messages between PF and VF.
    /// Whatever these were, pending messages are cleared and new ones enabled at the end.
    fn write_registers(&self, state: &DriverState) -> Result {
        let io = self.registers().function_block();
        io.write_reg(AEQ_INT_MASK::from_raw(state.aeq_int_mask));
        io.write_reg(EQ_INT_MASK::from_raw(state.eq_int_mask));
        io.write_reg(QUE_ISO_CFG::from_raw(state.isolation));
        io.write_reg(PAGE_SIZE::from_raw(state.page_size as u32));
        if self.pf_link().pf.version() >= V5 {
            // The guest's driver sets this when it stops the function, and clears it only when it
            // starts the function from scratch.
            io.write_reg(FUN_DB_DROP::zeroed());
        }
        self.registers().set_event_contexts(&state.events);
        self.mailbox_write(MailboxCommand::SqcBase, state.sqc.get())?;
        self.mailbox_write(MailboxCommand::CqcBase, state.cqc.get())?;
        // A pending message was for the previous user of the VF.
        io.write_reg(IFC_INT_SOURCE::from_raw(1));
        self.enable_messages();
        Ok(())
    }
}
