// SPDX-License-Identifier: GPL-2.0

//! Registers that are stuck because of a fault.

use super::Device;
use crate::address_target::AddressTarget;
use crate::address_target::Stuck;
use crate::fault::Faults;
use crate::host::FunctionId;
use crate::host::Host;
use crate::register::Register;
use crate::regs::function as fb;
use crate::regs::pf;

impl Device {
    /// Returns the registers that `faults` make stick, at the given value or at the current one.
    pub(super) fn stuck_by(&mut self, host: &mut dyn Host, faults: &Faults) -> Stuck {
        let mut stuck = Stuck::new();
        for (function, register, value) in faults.stuck() {
            let functions = match function {
                Some(only) => only..=only,
                None if register.is_of_pf() => 0..=0,
                None => 0..=self.config.total_vfs,
            };
            for function in functions {
                let place = self.place_of(function, register);
                let value = value.unwrap_or_else(|| self.read_place(host, place));
                stuck.insert(place, value);
            }
        }
        stuck
    }

    fn place_of(&self, function: FunctionId, register: Register) -> AddressTarget {
        match register {
            Register::Function(offset) => AddressTarget::Function(function, offset),
            Register::Eqc(index) => AddressTarget::Eqc(function, index),
            Register::Aeqc(index) => AddressTarget::Aeqc(function, index),
            Register::Pf(offset) => AddressTarget::Pf(offset),
            Register::CoreStatus => AddressTarget::Pf(self.config.profile.errors.status),
        }
    }

    /// Reads a register; returns the stuck value if the register is stuck.
    pub(super) fn read_stuck(&mut self, host: &mut dyn Host, place: AddressTarget) -> u32 {
        match self.stuck.get(&place) {
            Some(value) => *value,
            None => self.read_place(host, place),
        }
    }

    pub(super) fn is_stuck(&self, place: AddressTarget) -> bool {
        self.stuck.contains_key(&place)
    }

    /// Writes the stuck values to the registers that affect the device's behavior; also called after a reset.
    pub(super) fn enforce_stuck(&mut self, host: &mut dyn Host) {
        for (place, value) in self.stuck.clone() {
            match place {
                AddressTarget::Function(
                    number,
                    offset @ (fb::AEQ_INT_MASK
                    | fb::EQ_INT_MASK
                    | fb::IFC_INT_MASK
                    | fb::QUE_ISO_CFG
                    | fb::PAGE_SIZE
                    | fb::VF_STATE),
                ) => self.write_function(host, number, offset, value),
                AddressTarget::Pf(offset @ (pf::ABNORMAL_INT_MASK | pf::MIG_REGION_SEL)) => {
                    self.write_pf(host, offset, value);
                }
                _ => {}
            }
        }
    }
}
