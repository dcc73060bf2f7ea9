// SPDX-License-Identifier: GPL-2.0

//! A VF's registers, as the host sees them past both drivers.

use std::fs::OpenOptions;

use anyhow::{Context, Result};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use vm::qm::registers;

use crate::scenario::conformance::observation::{Image, REGISTERS};
use crate::scenario::support::register_layout as layout;

/// The contexts of the event queues on hardware V3, in the VF's BAR 2.
const V3_CONTEXTS: [usize; 2] = [layout::EQC, layout::AEQC];
/// The part of the PF's BAR 2 with its queue manager and the window of its first VF.
const PF_BLOCK_SIZE: usize = 0x8_4000;
/// The contexts of the event queues on V4, in that window.
const V4_CONTEXTS: [usize; 2] = [
    layout::FIRST_WINDOW + layout::WINDOW_EQC,
    layout::FIRST_WINDOW + layout::WINDOW_AEQC,
];

#[derive(Clone, Copy)]
enum Contexts {
    InVf([usize; 2]),
    InPf([usize; 2]),
}

/// The registers of a VF, and those of its PF.
pub(super) struct Registers {
    /// The function block.
    pub(super) block: Mapping,
    /// The PF's queue manager.
    pf_block: Mapping,
    /// Where the contexts of the event queues are: in the function block or in the PF's.
    contexts: Contexts,
}

fn map_bar2(function: &Function, offset: u64, length: usize) -> Result<Mapping> {
    let path = function.path("resource2");
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    Mapping::new(file, offset, length).with_context(|| format!("cannot map {}", path.display()))
}

impl Registers {
    /// Maps the registers of `vf`, the first one of `pf`.
    pub(super) fn new(pf: &Function, vf: &Function) -> Result<Self> {
        Ok(Registers {
            block: map_bar2(vf, 0, layout::VF_BAR2_SIZE)?,
            pf_block: map_bar2(pf, layout::PF_BLOCK as u64, PF_BLOCK_SIZE)?,
            contexts: if vf.number("revision")? <= 0x30 {
                Contexts::InVf(V3_CONTEXTS)
            } else {
                Contexts::InPf(V4_CONTEXTS)
            },
        })
    }

    /// Takes a message and its mask back, which no reset does.
    pub(super) fn mask_messages(&self) {
        self.block.write32(registers::IFC_INT_SOURCE, 1);
        self.block.write32(registers::IFC_INT_MASK, 1);
    }

    /// On V4 hisi_qm opens the windows when it is bound and not after a reset of the PF.
    pub(super) fn open_windows(&self) {
        if let Contexts::InPf(_) = self.contexts {
            self.pf_block.write32(
                layout::MIG_REGION_SEL,
                self.pf_block.read32(layout::MIG_REGION_SEL) | 1,
            );
        }
    }

    /// Reads the PF's table of queues, so that a transaction that was cut off is none any more.
    pub(super) fn finish_table(&self) {
        for (register, value) in [
            (layout::VFT_OPERATION, 1),
            (layout::VFT_TYPE, 0),
            (layout::VFT_FUNCTION, 1),
            (layout::VFT_READY, 0),
            (layout::VFT_ENABLE, 1),
        ] {
            self.pf_block.write32(register, value);
        }
    }

    pub(super) fn image(&self) -> Image {
        let (map, [eqc, aeqc]) = match self.contexts {
            Contexts::InVf(at) => (&self.block, at),
            Contexts::InPf(at) => (&self.pf_block, at),
        };
        let context = |at: usize| std::array::from_fn(|word| map.read32(at + 4 * word));
        Image {
            registers: REGISTERS.map(|(_, offset)| self.block.read32(offset)),
            eqc: context(eqc),
            aeqc: context(aeqc),
        }
    }
}
