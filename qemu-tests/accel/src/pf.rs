// SPDX-License-Identifier: GPL-2.0

//! Registers that only the PF has and that do not affect any other part: errors, and registers that only store a value.

use std::collections::BTreeMap;

use crate::host::FunctionId;
use crate::profile::Profile;
use crate::regs::engine;
use crate::regs::pf;
use crate::silicon::Silicon;

/// Offset of the upper half of a 64-bit register.
const FUNC_AXI_ERR_ST0_HIGH: u64 = pf::FUNC_AXI_ERR_ST0 + 4;

/// An error register group: source, mask, set and status.
#[derive(Debug, Default)]
struct Errors {
    status: u32,
    mask: u32,
}

impl Errors {
    /// Returns true if the PF is to be interrupted.
    fn set(&mut self, bits: u32) -> bool {
        self.status |= bits;
        self.status & !self.mask != 0
    }
}

/// The PF's own registers.
#[derive(Debug)]
pub(crate) struct PfBlock {
    profile: &'static Profile,
    total_qps: u16,
    abnormal: Errors,
    core: Errors,
    plain: BTreeMap<u64, u32>,
}

impl PfBlock {
    pub(crate) fn new(profile: &'static Profile, total_qps: u16) -> Self {
        Self {
            profile,
            total_qps,
            abnormal: Errors::default(),
            core: Errors::default(),
            plain: BTreeMap::new(),
        }
    }

    /// Returns the registers as they are after a reset, except for what `silicon` preserves.
    pub(crate) fn reset(&mut self, silicon: Silicon) {
        let kept = self.plain.get(&pf::MIG_REGION_SEL).copied();
        *self = Self::new(self.profile, self.total_qps);
        if let (true, Some(value)) = (
            silicon.contains(Silicon::PF_RESET_KEEPS_MIG_REGION_SEL),
            kept,
        ) {
            self.plain.insert(pf::MIG_REGION_SEL, value);
        }
    }

    /// Raises errors of the queue manager. Returns true if the PF is to be interrupted.
    pub(crate) fn raise(&mut self, bits: u32) -> bool {
        self.abnormal.set(bits)
    }

    /// Returns whether there are registers at `offset`.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        (pf::START..pf::END).contains(&offset)
            || (engine::START..engine::END).contains(&offset)
            || (self.profile.has_dae && (engine::DAE_START..engine::DAE_END).contains(&offset))
    }

    /// V4: returns whether the migration windows are open.
    pub(crate) fn windows_open(&self) -> bool {
        self.plain
            .get(&pf::MIG_REGION_SEL)
            .is_some_and(|value| value & 1 != 0)
    }

    /// V5: returns whether doorbells of `function` have no effect.
    pub(crate) fn drops_doorbells(&self, function: FunctionId) -> bool {
        let register = pf::DEV_DB_DROP + 4 * u64::from(function / 32);
        self.plain
            .get(&register)
            .is_some_and(|value| value >> (function % 32) & 1 != 0)
    }

    /// Reads a register; `idle` means that nothing is in flight.
    pub(crate) fn read(&self, offset: u64, idle: bool) -> u32 {
        let errors = &self.profile.errors;
        match offset {
            pf::ABNORMAL_INT_SOURCE | pf::ABNORMAL_INT_STATUS => self.abnormal.status,
            pf::ABNORMAL_INT_MASK => self.abnormal.mask,
            pf::MEM_INIT_DONE => 1,
            pf::TOTAL_QP => u32::from(self.total_qps) | u32::from(self.total_qps) << 11,
            pf::IN_IDLE_ST => idle.into(),
            engine::MASTER_TRANS_RETURN => 3,
            _ if offset == errors.source || offset == errors.status => self.core.status,
            _ if offset == errors.mask => self.core.mask,
            _ => self
                .profile
                .fixed_register(offset)
                .or_else(|| self.plain.get(&offset).copied())
                .unwrap_or(0),
        }
    }

    /// Writes a register; returns true if the PF is to be notified of an error.
    pub(crate) fn write(&mut self, offset: u64, value: u32) -> bool {
        let errors = &self.profile.errors;
        match offset {
            pf::ABNORMAL_INT_SOURCE => self.abnormal.status &= !value,
            pf::ABNORMAL_INT_MASK => self.abnormal.mask = value,
            pf::ABNORMAL_INT_SET => return self.abnormal.set(value),
            pf::ABNORMAL_INT_STATUS
            | pf::MEM_INIT_DONE
            | pf::TOTAL_QP
            | pf::IN_IDLE_ST
            | pf::FUNC_AXI_ERR_ST0
            | FUNC_AXI_ERR_ST0_HIGH
            | engine::MASTER_TRANS_RETURN => {}
            _ if offset == errors.source => self.core.status &= !value,
            _ if offset == errors.mask => self.core.mask = value,
            _ if Some(offset) == errors.set => return self.core.set(value),
            _ if offset == errors.status || self.profile.fixed_register(offset).is_some() => {}
            _ => {
                self.plain.insert(offset, value);
            }
        }
        false
    }
}
