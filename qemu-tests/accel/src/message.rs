// SPDX-License-Identifier: GPL-2.0

//! Messages between the PF and its VFs.
//!
//! A message consists of 64 bits of content, passed by mailbox (V3) or register (V4), and a notification, which is
//! raised and acknowledged with registers (source: `qm_ping_single_vf()`, `qm_ping_pf()` and `qm_handle_cmd_msg()` in
//! `qm.c`).

use crate::host::FunctionId;
use crate::silicon::Silicon;

/// Number that denotes all VFs in `QM_IFC_INT_CFG`.
const ALL_IN_REGISTER: u32 = 0x7f;
/// Number that denotes all VFs in the mailbox.
pub(crate) const ALL_IN_MAILBOX: u16 = 0xffff;

/// How content is sent and received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Mailbox commands `SRC` and `DST`, which drivers use on V3.
    Mailbox,
    /// Registers of V4 and later.
    Registers,
}

/// Content of a message, as seen through the mailbox and through the registers.
#[derive(Debug, Clone, Copy)]
struct Content {
    by_mailbox: u64,
    by_registers: u64,
}

impl Content {
    const NONE: Self = Self {
        by_mailbox: 0,
        by_registers: 0,
    };

    fn get(self, way: Way) -> u64 {
        match way {
            Way::Mailbox => self.by_mailbox,
            Way::Registers => self.by_registers,
        }
    }

    fn leave(&mut self, way: Way, content: u64, silicon: Silicon) {
        let separate = silicon.contains(Silicon::MESSAGE_PATHS_ARE_SEPARATE);
        if way == Way::Mailbox || !separate {
            self.by_mailbox = content;
        }
        if way == Way::Registers || !separate {
            self.by_registers = content;
        }
    }
}

/// A function's endpoint for messages.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Content sent to this function; unused for the PF.
    from_pf: Content,
    /// Content sent by this function.
    to_pf: Content,
    /// `QM_IFC_INT_SOURCE_V`.
    source: bool,
    /// `QM_IFC_INT_MASK`.
    masked: bool,
    /// `QM_IFC_INT_SET_V`.
    set: bool,
}

impl Line {
    const RESET: Self = Self {
        from_pf: Content::NONE,
        to_pf: Content::NONE,
        source: false,
        masked: true,
        set: false,
    };
}

/// All endpoints; functions are bits of a 64-bit word, and the PF is bit 0.
#[derive(Debug)]
pub(crate) struct Messages {
    lines: Vec<Line>,
    /// `QM_IFC_READY_STATUS`.
    unacknowledged: u64,
    /// `QM_IFC_INT_SOURCE_P`.
    pf_source: u64,
    /// `QM_IFC_INT_CFG`.
    target: u32,
    /// V4: content for the PF's next notification.
    staged: u64,
}

const fn bit(function: FunctionId) -> u64 {
    1_u64.wrapping_shl(function as u32)
}

impl Messages {
    pub(crate) fn new(functions: usize) -> Self {
        Self {
            lines: vec![Line::RESET; functions],
            unacknowledged: 0,
            pf_source: 0,
            target: 0,
            staged: 0,
        }
    }

    fn line(&mut self, function: FunctionId) -> Option<&mut Line> {
        self.lines.get_mut(usize::from(function))
    }

    /// Resets the endpoint of a function. The mask is preserved unless `silicon` says otherwise: the driver of a VF
    /// unmasks its interrupt only once, when it is loaded, and must receive messages of the PF after resets of the VF
    /// as well.
    pub(crate) fn reset(&mut self, function: FunctionId, silicon: Silicon) {
        if let Some(line) = self.line(function) {
            let masked = line.masked || silicon.contains(Silicon::FLR_MASKS_MESSAGES);
            *line = Line {
                masked,
                ..Line::RESET
            };
        }
        self.unacknowledged &= !bit(function);
        self.pf_source &= !bit(function);
    }

    /// Sends `content` from `function` by mailbox; `target` is used for the PF only. Returns false if there is no such
    /// function.
    pub(crate) fn send(
        &mut self,
        function: FunctionId,
        target: u16,
        content: u64,
        silicon: Silicon,
    ) -> bool {
        if function != 0 {
            if let Some(line) = self.line(function) {
                line.to_pf.leave(Way::Mailbox, content, silicon);
            }
            return true;
        }
        if target == ALL_IN_MAILBOX {
            for line in &mut self.lines {
                line.from_pf.leave(Way::Mailbox, content, silicon);
            }
            return true;
        }
        match self.line(target) {
            Some(line) if target != 0 => {
                line.from_pf.leave(Way::Mailbox, content, silicon);
                true
            }
            _ => false,
        }
    }

    /// Returns the content sent to `function`; for the PF, the content sent by VF `source`.
    pub(crate) fn fetch(&self, way: Way, function: FunctionId, source: u16) -> Option<u64> {
        if function != 0 {
            return self
                .lines
                .get(usize::from(function))
                .map(|line| line.from_pf.get(way));
        }
        let line = self.lines.get(usize::from(source))?;
        (source != 0).then_some(line.to_pf.get(way))
    }

    /// Reads `QM_IFC_INT_SOURCE_V`.
    pub(crate) fn source(&self, function: FunctionId) -> bool {
        self.lines
            .get(usize::from(function))
            .is_some_and(|line| line.source)
    }

    /// Reads `QM_IFC_INT_MASK`.
    pub(crate) fn masked(&self, function: FunctionId) -> bool {
        self.lines
            .get(usize::from(function))
            .is_some_and(|line| line.masked)
    }

    /// Reads `QM_IFC_INT_SET_V`.
    pub(crate) fn set(&self, function: FunctionId) -> bool {
        self.lines
            .get(usize::from(function))
            .is_some_and(|line| line.set)
    }

    /// Reads `QM_IFC_INT_STATUS`: whether the function is to be interrupted.
    pub(crate) fn status(&self, function: FunctionId) -> bool {
        let waiting = if function == 0 {
            self.pf_source != 0
        } else {
            self.source(function)
        };
        waiting && !self.masked(function)
    }

    /// Reads `QM_IFC_READY_STATUS`.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }

    /// Reads `QM_IFC_INT_SOURCE_P`.
    pub(crate) fn pf_source(&self) -> u64 {
        self.pf_source
    }

    /// Reads `QM_IFC_INT_CFG`.
    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    /// Writes `QM_IFC_INT_CFG`.
    pub(crate) fn set_target(&mut self, target: u32) {
        self.target = target;
    }

    /// Writes one half of `QM_PF2VF_PF_W`.
    pub(crate) fn stage(&mut self, high: bool, value: u32) {
        let shift = if high { 32 } else { 0 };
        self.staged = self.staged & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }

    /// Writes one half of `QM_VF2PF_VF_W`.
    pub(crate) fn stage_vf(
        &mut self,
        function: FunctionId,
        high: bool,
        value: u32,
        silicon: Silicon,
    ) {
        let shift = if high { 32 } else { 0 };
        if let Some(line) = self.line(function) {
            let before = line.to_pf.get(Way::Registers) & !(0xffff_ffff << shift);
            let content = before | u64::from(value) << shift;
            line.to_pf.leave(Way::Registers, content, silicon);
        }
    }

    /// Writes `QM_IFC_INT_SET_P`: notifies those targets that are enabled VFs. Returns the functions to interrupt as a
    /// bit mask.
    pub(crate) fn ring_vfs(&mut self, vfs: u16, staged: bool, silicon: Silicon) -> u64 {
        let target = self.target & ALL_IN_REGISTER;
        let content = self.staged;
        let mut interrupts = 0;
        for function in 1..=vfs {
            if target != ALL_IN_REGISTER && target != u32::from(function) {
                continue;
            }
            let Some(line) = self.line(function) else {
                continue;
            };
            line.source = true;
            if staged {
                line.from_pf.leave(Way::Registers, content, silicon);
            }
            if !line.masked {
                interrupts |= bit(function);
            }
            self.unacknowledged |= bit(function);
        }
        interrupts
    }

    /// Writes `QM_IFC_INT_SOURCE_V`: `function` acknowledges the PF's message.
    pub(crate) fn acknowledge_pf(&mut self, function: FunctionId) {
        if let Some(line) = self.line(function) {
            line.source = false;
        }
        self.unacknowledged &= !bit(function);
    }

    /// Writes `QM_IFC_INT_MASK`. Returns true if the function is to be interrupted now.
    pub(crate) fn set_masked(&mut self, function: FunctionId, masked: bool) -> bool {
        let was = self.status(function);
        if let Some(line) = self.line(function) {
            line.masked = masked;
        }
        !was && self.status(function)
    }

    /// Writes `QM_IFC_INT_SET_V`: VF `function` notifies the PF. Returns true if the PF is to be interrupted.
    pub(crate) fn ring_pf(&mut self, function: FunctionId) -> bool {
        if function == 0 {
            return false;
        }
        if let Some(line) = self.line(function) {
            line.set = true;
        }
        self.pf_source |= bit(function);
        self.status(0)
    }

    /// Writes one half of `QM_IFC_INT_SOURCE_P`: the PF acknowledges the messages of these functions.
    pub(crate) fn acknowledge_vfs(&mut self, functions: u64) {
        self.pf_source &= !functions;
        for (function, line) in self.lines.iter_mut().enumerate() {
            if functions >> function & 1 != 0 {
                line.set = false;
            }
        }
    }
}
