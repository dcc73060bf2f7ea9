// SPDX-License-Identifier: GPL-2.0

//! Reads and writes single registers.

use super::Device;
use crate::address_target::AddressTarget;
use crate::function::Doorbell;
use crate::function::Function;
use crate::function::WriteBack;
use crate::host::FunctionId;
use crate::host::Host;
use crate::message::Way;
use crate::regs::VECTOR_ABNORMAL;
use crate::regs::VECTOR_MESSAGE;
use crate::regs::function as fb;
use crate::regs::pf;
use crate::revision::Revision;
use crate::silicon::Silicon;
use crate::vft::VftFault;
use crate::violation::Violation;

/// Offsets of the upper halves of 64-bit registers.
const VF2PF_VF_W_HIGH: u64 = fb::VF2PF_VF_W + 4;
const PF2VF_VF_R_HIGH: u64 = fb::PF2VF_VF_R + 4;
const DOORBELL_SQ_CQ_HIGH: u64 = fb::DOORBELL_SQ_CQ + 4;
const DOORBELL_EQ_AEQ_HIGH: u64 = fb::DOORBELL_EQ_AEQ + 4;
const IFC_READY_STATUS_HIGH: u64 = pf::IFC_READY_STATUS + 4;
const IFC_INT_SOURCE_P_HIGH: u64 = pf::IFC_INT_SOURCE_P + 4;
const PF2VF_PF_W_HIGH: u64 = pf::PF2VF_PF_W + 4;

impl Device {
    pub(super) fn read_word(
        &mut self,
        host: &mut dyn Host,
        function: FunctionId,
        offset: u64,
    ) -> u32 {
        let place = self.place(function, offset);
        if place == AddressTarget::Outside {
            self.violate(host, function, Violation::OutsideWindow, offset);
        }
        self.read_stuck(host, place)
    }

    /// Reads a register, ignoring faults; returns 0 if there is none.
    pub(super) fn read_place(&mut self, host: &mut dyn Host, place: AddressTarget) -> u32 {
        match place {
            AddressTarget::Function(target, offset) => self.read_function(host, target, offset),
            AddressTarget::Eqc(target, index) => self
                .functions
                .get(usize::from(target))
                .map_or(0, |function| function.eq.word(index)),
            AddressTarget::Aeqc(target, index) => self
                .functions
                .get(usize::from(target))
                .map_or(0, |function| function.aeq.word(index)),
            AddressTarget::Pf(offset) => self.read_pf(offset),
            AddressTarget::Later | AddressTarget::Outside => 0,
        }
    }

    pub(super) fn write_word(
        &mut self,
        host: &mut dyn Host,
        function: FunctionId,
        offset: u64,
        value: u32,
    ) {
        let place = self.place(function, offset);
        match place {
            _ if self.is_stuck(place) => {}
            AddressTarget::Function(target, offset) => {
                self.write_function(host, target, offset, value)
            }
            AddressTarget::Eqc(target, index) => {
                self.restore(host, target, |function, silicon| {
                    function.eq.restore_word(index, value, silicon);
                });
            }
            AddressTarget::Aeqc(target, index) => {
                self.restore(host, target, |function, silicon| {
                    function.aeq.restore_word(index, value, silicon);
                });
            }
            AddressTarget::Pf(offset) => self.write_pf(host, offset, value),
            AddressTarget::Later | AddressTarget::Outside => {
                self.violate(host, function, Violation::OutsideWindow, offset);
            }
        }
    }

    fn restore(
        &mut self,
        host: &mut dyn Host,
        target: FunctionId,
        write: impl FnOnce(&mut Function, Silicon),
    ) {
        self.with(host, target, |function, bus, share| {
            if !function.may_restore() {
                bus.violation(Violation::MigrationWriteWhileRunning, "EQC or AEQC written");
            }
            let needs_ready = share.silicon.contains(Silicon::RESTORE_NEEDS_VF_READY);
            if !needs_ready || function.is_ready() {
                write(function, share.silicon);
            }
        });
    }

    fn read_function(&mut self, host: &mut dyn Host, number: FunctionId, offset: u64) -> u32 {
        match offset {
            fb::MAILBOX..fb::MAILBOX_END => self.advance_mailbox(host, number),
            fb::CACHE_WB_DONE => self.advance(host),
            _ => {}
        }
        let Some(function) = self.functions.get(usize::from(number)) else {
            return 0;
        };
        match offset {
            fb::AEQ_INT_MASK => function.aeq.masked().into(),
            fb::EQ_INT_MASK => function.eq.masked().into(),
            fb::IFC_INT_SOURCE_V => self.messages.source(number).into(),
            fb::IFC_INT_MASK => self.messages.masked(number).into(),
            fb::IFC_INT_STATUS => {
                (self.messages.status(number) || self.faults.vf_busy(number)).into()
            }
            fb::IFC_INT_SET_V => self.messages.set(number).into(),
            fb::VF_STATE => function.vf_state,
            fb::CACHE_WB_START | fb::SUB_VERSION_ID => 0,
            fb::CACHE_WB_DONE => function.writeback.is_done().into(),
            fb::MAILBOX..fb::MAILBOX_END => {
                function.mailbox.word((offset - fb::MAILBOX) as usize / 4)
            }
            fb::PF2VF_VF_R => self.message(number, 0) as u32,
            PF2VF_VF_R_HIGH => (self.message(number, 0) >> 32) as u32,
            fb::CAPS..fb::CAPS_END => self.config.profile.cap(offset - fb::CAPS),
            _ => function.plain.get(&offset).copied().unwrap_or(0),
        }
    }

    pub(super) fn write_function(
        &mut self,
        host: &mut dyn Host,
        number: FunctionId,
        offset: u64,
        value: u32,
    ) {
        match offset {
            fb::IFC_INT_SOURCE_V => {
                if value & 1 != 0 {
                    self.messages.acknowledge_pf(number);
                }
            }
            fb::IFC_INT_MASK => {
                if self.messages.set_masked(number, value & 1 != 0) {
                    self.bus(host, number).msi(VECTOR_MESSAGE);
                }
            }
            fb::IFC_INT_SET_V => {
                if value & 1 != 0 && self.messages.ring_pf(number) {
                    self.bus(host, 0).msi(VECTOR_MESSAGE);
                }
            }
            fb::VF2PF_VF_W => self.messages.stage_vf(number, false, value, self.silicon),
            VF2PF_VF_W_HIGH => self.messages.stage_vf(number, true, value, self.silicon),
            fb::CACHE_WB_START => {
                if value & 1 != 0 {
                    let stuck = self.faults.writeback_never(number);
                    self.with(host, number, |function, bus, share| {
                        if stuck {
                            function.writeback = WriteBack::Never;
                        } else {
                            function.begin_write_back(bus, share.silicon);
                        }
                    });
                    self.rearm(host);
                }
            }
            fb::MAILBOX..fb::MAILBOX_END => {
                self.write_mailbox(host, number, (offset - fb::MAILBOX) as usize / 4, value);
            }
            fb::DOORBELL_SQ_CQ | fb::DOORBELL_EQ_AEQ => {
                self.with(host, number, |function, _, _| {
                    function.half_doorbell = value;
                });
            }
            DOORBELL_SQ_CQ_HIGH | DOORBELL_EQ_AEQ_HIGH => self.ring(host, number, value),
            fb::IFC_INT_STATUS
            | fb::CACHE_WB_DONE
            | fb::SUB_VERSION_ID
            | fb::PF2VF_VF_R
            | PF2VF_VF_R_HIGH
            | fb::CAPS..fb::CAPS_END => {}
            _ => {
                self.with(host, number, |function, bus, share| {
                    match offset {
                        fb::AEQ_INT_MASK => function.aeq.set_masked(value & 1 != 0),
                        fb::EQ_INT_MASK => function.eq.set_masked(value & 1 != 0),
                        fb::VF_STATE => function.vf_state = value,
                        _ => {
                            function.plain.insert(offset, value);
                        }
                    }
                    function.notify(bus, share.silicon);
                });
            }
        }
    }

    fn ring(&mut self, host: &mut dyn Host, number: FunctionId, high: u32) {
        if let Some(counters) = self.counters.function(number) {
            counters.doorbells += 1;
        }
        let dropped = self.pf.drops_doorbells(number)
            || self
                .functions
                .get(usize::from(number))
                .is_some_and(Function::drops_doorbells);
        if dropped {
            self.counters.doorbells_dropped += 1;
            return;
        }
        let masked = self.messages.masked(number);
        self.with(host, number, |function, bus, share| {
            let value = u64::from(function.half_doorbell) | u64::from(high) << 32;
            let bell = Doorbell::decode(value);
            let needs_messages = share
                .silicon
                .contains(Silicon::RESTART_NEEDS_MESSAGES_UNMASKED);
            if bell.is_restart() && needs_messages && masked {
                bus.counters.doorbells_dropped += 1;
                return;
            }
            function.doorbell(bus, share, bell);
        });
        self.advance(host);
    }

    /// Returns the message for a function as shown by the registers.
    fn message(&self, number: FunctionId, source: u16) -> u64 {
        let content = self.messages.fetch(Way::Registers, number, source);
        content.unwrap_or(0)
    }

    fn read_pf(&mut self, offset: u64) -> u32 {
        if let Some(value) = self.vft.read(offset) {
            return value;
        }
        match offset {
            pf::IFC_READY_STATUS => self.messages.unacknowledged() as u32,
            IFC_READY_STATUS_HIGH => (self.messages.unacknowledged() >> 32) as u32,
            pf::IFC_INT_SET_P => 0,
            pf::IFC_INT_CFG => self.messages.target(),
            pf::IFC_INT_SOURCE_P => self.messages.pf_source() as u32,
            IFC_INT_SOURCE_P_HIGH => (self.messages.pf_source() >> 32) as u32,
            pf::VF2PF_PF_R..pf::VF2PF_PF_R_END => {
                let source = ((offset - pf::VF2PF_PF_R) / 4) as u16;
                self.message(0, source) as u32
            }
            _ => {
                let idle = self.counters.requests_in_flight == 0;
                let forced = if offset == pf::ABNORMAL_INT_STATUS {
                    self.faults.abnormal()
                } else {
                    0
                };
                self.pf.read(offset, idle) | forced
            }
        }
    }

    pub(super) fn write_pf(&mut self, host: &mut dyn Host, offset: u64, value: u32) {
        if let Some(outcome) = self.vft.write(offset, value, self.faults.vft_never()) {
            let kind = match outcome {
                Ok(()) => return,
                Err(VftFault::Interleaved) => Violation::VftInterleaved,
                Err(VftFault::Number) => Violation::Number,
            };
            self.bus(host, 0)
                .violation(kind, &format!("VFT register {offset:#x} is {value:#x}"));
            return;
        }
        match offset {
            pf::IFC_INT_SET_P => {
                if value & 1 != 0 {
                    let staged = self.config.revision >= Revision::V4;
                    let targets = self.messages.ring_vfs(self.vfs, staged, self.silicon);
                    for target in (1..=self.vfs).filter(|target| targets >> target & 1 != 0) {
                        self.bus(host, target).msi(VECTOR_MESSAGE);
                    }
                }
            }
            pf::IFC_INT_CFG => self.messages.set_target(value),
            pf::IFC_INT_SOURCE_P => self.messages.acknowledge_vfs(value.into()),
            IFC_INT_SOURCE_P_HIGH => self.messages.acknowledge_vfs(u64::from(value) << 32),
            pf::PF2VF_PF_W => self.messages.stage(false, value),
            PF2VF_PF_W_HIGH => self.messages.stage(true, value),
            pf::IFC_READY_STATUS | IFC_READY_STATUS_HIGH | pf::VF2PF_PF_R..pf::VF2PF_PF_R_END => {}
            _ => {
                if self.pf.write(offset, value) {
                    self.bus(host, 0).msi(VECTOR_ABNORMAL);
                }
            }
        }
    }
}
