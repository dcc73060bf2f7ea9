// SPDX-License-Identifier: GPL-2.0

//! The device and what works with it: its VM, its registers, questions to it, its debug files.

use vfio_bindings::bindings::vfio::*;
use vfio_client::State;
use vm::qm::registers;

use super::Generator;
use crate::scenario::conformance::step::{DebugFile, OUR_FILES, Step};

/// Registers that a VM may write at any time.
const WRITABLE: [u64; 6] = [0x04, 0x0c, 0x20, IFC_INT_MASK, IFC_INT_MASK, 0x34];
/// Whether messages of the PF are heard.
const IFC_INT_MASK: u64 = registers::IFC_INT_MASK as u64;
const VF_STATE: u64 = registers::VF_STATE as u64;
/// Registers that a VM may read, and the end of what it sees of BAR 2 on V3.
const READABLE: [u64; 12] = [
    0x04, 0x0c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x60, 0x7ff8, 0x7ffc, 0x7ffe,
];

impl Generator {
    /// The VM runs.
    fn runs(&self) -> bool {
        matches!(self.guess.state, State::Running | State::PreCopy)
    }

    /// What the VM's driver does, in a device that runs and answers.
    pub(super) fn vm(&mut self) {
        let runs = self.runs();
        let step = match (self.guess.up, self.rng.u32(..10)) {
            (false, _) if runs && !self.fault => {
                self.guess.up = true;
                Step::BringUp
            }
            (true, 0) if runs && !self.fault => self.shut_down(),
            // Between what is sent ahead and the rest.
            (true, 1..4) if self.guess.state == State::PreCopy && !self.fault => self.shut_down(),
            (true, 1..7) => Step::Work,
            _ => return self.region(),
        };
        self.steps.push(step);
    }

    fn shut_down(&mut self) -> Step {
        self.guess.up = false;
        Step::ShutDown
    }

    pub(super) fn debug(&mut self) {
        let step = match self.rng.u32(..7) {
            0 => Step::Debug(DebugFile::State),
            1 => Step::Debug(DebugFile::Features),
            2 => Step::Debug(DebugFile::DevData),
            3 | 4 => Step::Debug(DebugFile::MigfData),
            5 => Step::Debug(DebugFile::CmdState),
            _ => Step::DebugOurs(self.one_of(&OUR_FILES)),
        };
        self.steps.push(step);
    }

    /// Questions to the device.
    pub(super) fn query(&mut self) {
        const GET: u32 = VFIO_DEVICE_FEATURE_GET;
        const SET: u32 = VFIO_DEVICE_FEATURE_SET;
        const PROBE: u32 = VFIO_DEVICE_FEATURE_PROBE;
        /// Those that change nothing but themselves.
        const FEATURES: [u32; 7] = [
            VFIO_DEVICE_FEATURE_MIGRATION,
            VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
            VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
            VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
            VFIO_DEVICE_FEATURE_DMA_BUF,
            VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
            0xfff0,
        ];
        let step = match self.rng.u32(..10) {
            0 => Step::Features,
            1 => Step::DataSize,
            2..6 => Step::Feature {
                flags: self.one_of(&FEATURES)
                    | self.one_of(&[0, GET, GET, SET, GET | SET])
                    | self.one_of(&[0, 0, PROBE, 1 << 30]),
                argsz: self.one_of(&[0, 7, 8, 12, 15, 16, 16, 16]),
            },
            6 => Step::RegionInfo {
                index: self.rng.u32(..12),
                argsz: self.one_of(&[0, 31, 32, 32]),
            },
            7 => Step::IrqInfo {
                index: self.rng.u32(..7),
                argsz: self.one_of(&[0, 15, 16, 16]),
            },
            8 => Step::DeviceInfo {
                argsz: self.one_of(&[0, 15, 16, 20, 24]),
            },
            _ => Step::SeekDevice,
        };
        self.steps.push(step);
    }

    /// BAR 2.
    pub(super) fn region(&mut self) {
        const PAGES: [u64; 5] = [0, 0x1000, 0x7000, 0x8000, 0xf000];
        const HALF: [usize; 5] = [0x1000, 0x2000, 0x7000, 0x8000, 0x1_0000];
        let step = match self.rng.u32(..10) {
            0..4 => Step::ReadRegion {
                offset: self.one_of(&READABLE),
                length: self.one_of(&[1, 2, 4, 4, 8]),
            },
            4..7 => {
                let offset = self.one_of(&WRITABLE);
                Step::WriteRegion {
                    offset,
                    length: 4,
                    value: self.rng.u64(0..3),
                }
            }
            7 if self.runs() => Step::WriteRegion {
                offset: VF_STATE,
                length: 4,
                value: self.rng.u64(0..2),
            },
            7 | 8 => Step::Map {
                offset: self.one_of(&PAGES),
                length: self.one_of(&HALF),
            },
            _ => Step::IoEventFd {
                offset: self.one_of(&[0x34, 0x7ffc, 0x8000, 0x8020, 0xfffc]),
            },
        };
        self.steps.push(step);
    }

    pub(super) fn open_or_query(&mut self) {
        if self.guess.open {
            self.query();
        } else {
            self.open();
        }
    }
}
