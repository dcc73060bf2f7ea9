// SPDX-License-Identifier: GPL-2.0

//! A VM's driver hears its PF: what hisi_qm in a VM answers when the PF is reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use vfio_client::{BAR2, Device, Kind};
use vm::engine::ZIP;
use vm::qm::Vm;
use vm::qm::messages::{self, Way};

/// `enum qm_ifc_cmd` of hisi_qm, as far as it is about resets.
const RESET_DONE: u64 = 3;
const PREPARE_DONE: u64 = 4;
const START_DONE: u64 = 6;

const INTERVAL: Duration = Duration::from_millis(2);

/// A thread that answers for one VF, until this is dropped.
pub(in crate::scenario) struct Answers {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Answers for an enabled device as on hardware V3.
    pub(super) fn start(device: &Device) -> Result<Self> {
        Self::by(Way::Mailbox, device)
    }

    /// Answers for an enabled device.
    pub(in crate::scenario) fn by(way: Way, device: &Device) -> Result<Self> {
        let length = usize::try_from(device.region(BAR2)?.size)?;
        let bar = device.map_region(BAR2, 0, length).context("mapping BAR2")?;
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicBool::new(false));
        let (seen, tell) = (over.clone(), asked.clone());
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                if messages::has_come(&bar) {
                    tell.store(true, Ordering::Relaxed);
                    // The PF gives up in time if it is not answered.
                    let _ = answer(&bar, way);
                }
                std::thread::sleep(INTERVAL);
            }
        });
        Ok(Answers {
            over,
            asked,
            thread: Some(thread),
        })
    }

    /// Whether the PF has asked for anything.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(bar: &Mapping, way: Way) -> Result<()> {
    let message = messages::fetch(bar, way)?;
    messages::acknowledge(bar);
    let word = match message & 0xffff_ffff {
        RESET_DONE => START_DONE,
        _ => PREPARE_DONE,
    };
    messages::send(bar, way, word)
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics only if the mapping is gone, which is its own.
            let _ = thread.join();
        }
    }
}

/// A VF in the hands of a VM that only answers the PF.
pub(in crate::scenario) struct OtherVf {
    _answers: Answers,
    _device: Device,
    _vm: Vm,
}

impl OtherVf {
    pub(in crate::scenario) fn new(kind: Kind, vf: &Function) -> Result<Self> {
        let vm = ZIP.vm(2)?;
        let mut device = vm.open(kind, vf)?;
        device.enable()?;
        Ok(OtherVf {
            _answers: Answers::start(&device)?,
            _device: device,
            _vm: vm,
        })
    }
}
