// SPDX-License-Identifier: GPL-2.0

//! One of the twins: a VF with one of the two drivers, a VM on it, and who does the steps.

use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use vfio_bindings::bindings::vfio::*;

use super::observation::{Answer, Image, Observation, REGISTERS, Value, answer, answer_of_many};
use super::step::{Reset, Step, Which};
use super::stream::Bases;
use crate::engine::SMALL_ZIP;
use crate::expect::errno;
use crate::ffi::{self, Mapping};
use crate::host::{Driver, Host};
use crate::qm::registers::{self, Command};
use crate::qm::{IOVA, Vm};
use crate::scenario::transfer::STREAM_SIZE;
use crate::scenario::tree;
use crate::sysfs::Function;
use crate::vfio::{BAR2, Container, DataFile, Device, Kind, State};

/// Seed of the VMs' work: both do the same.
const WORK_SEED: u64 = 1;
/// Requests of one [`Step::Work`], and how long they are waited for.
const REQUESTS: usize = 4;
const PATIENCE: Duration = Duration::from_millis(20);

/// Data files that are kept.
const FILES: usize = 2;

/// Size of a VF's BAR 2.
const BAR2_SIZE: usize = 0x1_0000;
/// The contexts of the event queues on hardware V3, in the VF's BAR 2.
const V3_CONTEXTS: [usize; 2] = [0x8000, 0x8020];
/// The part of the PF's BAR 2 with its queue manager and the window of its first VF.
const PF_BLOCK: usize = 0x10_0000;
const PF_BLOCK_SIZE: usize = 0x8_4000;
/// The contexts of the event queues on V4, in that window.
const V4_CONTEXTS: [usize; 2] = [0x8_2000 + 0x1c00, 0x8_2000 + 0x1c20];
/// `QM_MIG_REGION_SEL`: whether there are windows.
const WINDOWS: usize = 0x198;
/// The PF's table of queues, `QM_VFT_CFG_*`: enable, direction, type, function, ready.
const TABLE_ENABLE: usize = 0x54;
const TABLE_READS: usize = 0x58;
const TABLE_TYPE: usize = 0x5c;
const TABLE_FUNCTION: usize = 0x60;
const TABLE_READY: usize = 0x6c;

#[derive(Clone, Copy)]
enum Contexts {
    InVf([usize; 2]),
    InPf([usize; 2]),
}

/// A VF and everything that is done with it.
pub(super) struct Side {
    driver: Driver,
    pf: Function,
    vf: Function,
    kind: Kind,
    container: Option<Arc<Container>>,
    vm: Vm,
    /// The driver in the VM has set the function up, and nothing has reset it since.
    up: bool,
    files: Vec<DataFile>,
    /// The function block, as the host sees it.
    block: Mapping,
    /// The PF's queue manager, as the host sees it.
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

impl Side {
    /// Enables a VF of `pf` and binds it to `driver`.
    pub(super) fn new(driver: Driver, kind: Kind, pf: &Function) -> Result<Self> {
        pf.enable_vfs(1, false)?;
        let vf = pf.virtual_function(0)?;
        vf.bind(&Host::name_of(driver)?)?;
        let contexts = if vf.number("revision")? <= 0x30 {
            Contexts::InVf(V3_CONTEXTS)
        } else {
            Contexts::InPf(V4_CONTEXTS)
        };
        Ok(Side {
            driver,
            pf: pf.clone(),
            block: map_bar2(&vf, 0, BAR2_SIZE)?,
            pf_block: map_bar2(pf, PF_BLOCK as u64, PF_BLOCK_SIZE)?,
            vf,
            kind,
            container: None,
            vm: Vm::with(SMALL_ZIP, IOVA, WORK_SEED)?,
            up: false,
            files: Vec::new(),
            contexts,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.vm.device().is_ok()
    }

    /// The VM's driver works on the function.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// The streams of a device without a driver in its VM, and of one with a driver.
    pub(super) fn streams(&mut self) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut streams = Vec::new();
        for driver in [false, true] {
            self.open()?;
            if driver {
                self.vm.bring_up()?;
            }
            let file = self.vm.device()?.set_state_with_file(State::StopCopy)?;
            streams.push(file.read_available(2 * STREAM_SIZE)?);
            self.close();
        }
        let full = streams.pop().context("no stream")?;
        Ok((streams.pop().context("no stream")?, full))
    }

    fn open(&mut self) -> Result<()> {
        if self.container.is_none() {
            let container = Container::new(self.kind, &[&self.vf], vec![self.vm.for_dma()])?;
            self.container = Some(Arc::new(container));
        }
        let container = self.container.as_ref().context("no container")?;
        let device = Device::open_in(container, &self.vf)?;
        self.vm.attach(device);
        Ok(())
    }

    /// The VM has lost its device, or what its driver had set up in it.
    fn lost(&mut self) {
        self.vm.forget();
        self.up = false;
    }

    fn close(&mut self) {
        // An interrupt that is pending is of no interest.
        drop(self.vm.detach());
        self.lost();
    }

    /// Gives everything back.
    pub(super) fn close_all(&mut self) {
        self.files.clear();
        self.close();
    }

    /// Opens the device again, as if for the first time.
    pub(super) fn reopen(&mut self) -> Result<()> {
        self.close_all();
        self.open()?;
        // A reset takes neither back.
        self.block.write32(registers::IFC_INT_SOURCE, 1);
        self.block.write32(registers::IFC_INT_MASK, 1);
        Ok(())
    }

    fn rebind(&mut self) -> Result<()> {
        self.close_all();
        self.container = None;
        let driver = Host::name_of(self.driver)?;
        self.vf.unbind()?;
        self.vf.bind(&driver)
    }

    pub(super) fn reset_pf(&mut self) -> Result<()> {
        self.lost();
        self.pf.reset()?;
        // On V4 hisi_qm opens the windows when it is bound and not after a reset.
        if let Contexts::InPf(_) = self.contexts {
            self.pf_block
                .write32(WINDOWS, self.pf_block.read32(WINDOWS) | 1);
        }
        Ok(())
    }

    /// Reads the PF's table of queues, so that a transaction that was cut off is none any more.
    pub(super) fn finish_table(&self) {
        for (register, value) in [
            (TABLE_READS, 1),
            (TABLE_TYPE, 0),
            (TABLE_FUNCTION, 1),
            (TABLE_READY, 0),
            (TABLE_ENABLE, 1),
        ] {
            self.pf_block.write32(register, value);
        }
    }

    fn file(&self, which: Which) -> Option<&DataFile> {
        let from_end = match which {
            Which::Newest => 1,
            Which::Older => 2,
        };
        self.files.get(self.files.len().checked_sub(from_end)?)
    }

    fn image(&self) -> Image {
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

    /// Does a step and looks what has come of it.
    pub(super) fn run(&mut self, step: &Step, bases: &Bases) -> Observation {
        let answer = self.answer(step, bases);
        let device = self.vm.device().ok();
        Observation {
            answer,
            state: device.map(|device| match device.state() {
                Ok(state) => Ok(state),
                Err(error) => Err(errno(&error).unwrap_or(rustix::io::Errno::IO)),
            }),
            image: device.map(|_| self.image()),
        }
    }

    fn answer(&mut self, step: &Step, bases: &Bases) -> Answer {
        match *step {
            Step::Open if self.is_open() => Ok(Value::Nothing),
            Step::Open => answer_of_many(self.open(), |()| Value::Done),
            Step::Rebind => answer_of_many(self.rebind(), |()| Value::Done),
            // What is asked of the files goes on when the device is closed.
            Step::Read(..)
            | Step::ReadToNowhere(..)
            | Step::Write { .. }
            | Step::WriteFromNowhere(..)
            | Step::Positional(_)
            | Step::Seek(_)
            | Step::PrecopyInfo { .. }
            | Step::UnknownRequest(_)
            | Step::CloseFile => self.answer_of_file(step, bases),
            Step::Debug(file) => {
                let path = tree::device(self.vf.name()).join(file.path());
                answer(tree::content(&path), Value::Text)
            }
            Step::DebugOurs(_) if !self.driver.is_rust() => Ok(Value::Nothing),
            Step::DebugOurs(name) => {
                let path = tree::device(self.vf.name()).join("migration/hisi_acc");
                // What is in it is for the tests of these files.
                let _ = tree::content(&path.join(name));
                Ok(Value::Nothing)
            }
            Step::Reset(Reset::Sysfs) => {
                let reset = self.vf.reset();
                self.lost();
                answer_of_many(reset, |()| Value::Done)
            }
            Step::ResetPf => answer_of_many(self.reset_pf(), |()| Value::Done),
            // The twins do it together.
            Step::Fault(_) => Ok(Value::Done),
            _ if !self.is_open() => Ok(Value::Nothing),
            Step::Close => {
                self.close();
                Ok(Value::Done)
            }
            Step::BringUp | Step::ShutDown | Step::Work | Step::Tables => self.answer_of_vm(step),
            _ => self.answer_of_device(step),
        }
    }

    fn answer_of_file(&mut self, step: &Step, bases: &Bases) -> Answer {
        let (Step::Read(which, _)
        | Step::ReadToNowhere(which, _)
        | Step::Write { which, .. }
        | Step::WriteFromNowhere(which, _)
        | Step::Positional(which)
        | Step::Seek(which)
        | Step::PrecopyInfo { which, .. }
        | Step::UnknownRequest(which)) = *step
        else {
            return Ok(match self.files.pop() {
                Some(_) => Value::Done,
                None => Value::Nothing,
            });
        };
        let Some(file) = self.file(which) else {
            return Ok(Value::Nothing);
        };
        let number = |done: usize| Value::Number(done as u64);
        match *step {
            Step::Read(_, length) => {
                let mut data = vec![0; length];
                let done = file.read(&mut data);
                answer(done, |done| Value::Bytes(data[..done].to_vec()))
            }
            Step::ReadToNowhere(_, length) => answer(ffi::read_to_nowhere(file, length), number),
            Step::Write {
                stream,
                from,
                length,
                ..
            } => answer(file.write(&bases.piece(stream, from, length)), number),
            Step::WriteFromNowhere(_, length) => {
                answer(ffi::write_from_nowhere(file, length), number)
            }
            Step::Positional(_) => {
                let read = answer(file.file().read_at(&mut [0; 8], 0), number);
                let write = answer(file.file().write_at(&[0; 8], 0), number);
                Ok(Value::Text(format!("read: {read:?}, write: {write:?}")))
            }
            Step::Seek(_) => {
                let mut position = file.file();
                answer(position.seek(SeekFrom::Start(0)), Value::Number)
            }
            Step::PrecopyInfo { argsz, flags, .. } => {
                answer(file.precopy_info_with(argsz, flags), |info| {
                    Value::Numbers(vec![info.flags.into(), info.initial, info.dirty])
                })
            }
            _ => answer(file.unknown_request(), |done| Value::Number(done as u64)),
        }
    }

    /// What the driver in the VM does. It waits for a device that does not answer and says so in
    /// words.
    fn answer_of_vm(&mut self, step: &Step) -> Answer {
        match step {
            Step::BringUp => {
                self.lost();
                let up = self.vm.bring_up();
                self.up = up.is_ok();
                answer_of_many(up, |queues| Value::Number(queues.into()))
            }
            Step::ShutDown if self.up => {
                let down = self.vm.shut_down();
                self.lost();
                answer_of_many(down, |()| Value::Done)
            }
            Step::Work if self.up => {
                let before = self.vm.counts();
                let submitted = self.vm.submit(REQUESTS);
                // That not all are done is what is to be seen.
                let _ = self.vm.run_until(0, PATIENCE);
                let after = self.vm.counts();
                answer_of_many(submitted, |()| {
                    Value::Numbers(vec![
                        after.completed - before.completed,
                        after.duplicates - before.duplicates,
                        after.wrong - before.wrong,
                    ])
                })
            }
            Step::Tables => {
                let read = |command| registers::mailbox_read(&self.block, command, 0);
                let tables = read(Command::SqcTable)
                    .and_then(|submission| Ok((submission, read(Command::CqcTable)?)));
                answer_of_many(tables, |(submission, completion)| {
                    Value::Numbers(vec![submission, completion])
                })
            }
            _ => Ok(Value::Nothing),
        }
    }

    fn answer_of_device(&mut self, step: &Step) -> Answer {
        let Ok(device) = self.vm.device() else {
            return Ok(Value::Nothing);
        };
        match *step {
            Step::SetState(number) => match device.set_state_number(number) {
                Ok(Some(file)) => {
                    if self.files.len() == FILES {
                        self.files.remove(0);
                    }
                    self.files.push(file);
                    Ok(Value::Text("a data file".into()))
                }
                other => answer(other, |_| Value::Done),
            },
            Step::Features => answer(device.features(), |features| {
                Value::Numbers(vec![
                    features.stop_copy.into(),
                    features.p2p.into(),
                    features.pre_copy.into(),
                ])
            }),
            Step::DataSize => answer(device.data_size(), Value::Number),
            Step::Feature { flags, argsz } => {
                let mut data = vfio_device_feature_mig_state {
                    device_state: u32::MAX,
                    data_fd: -1,
                };
                let done = ffi::device_feature(device, flags, Some(argsz), &mut data);
                answer(done, |done| {
                    Value::Numbers(vec![done as u64, data.device_state.into()])
                })
            }
            Step::RegionInfo { index, argsz } => {
                answer(ffi::region_info(device, index, Some(argsz)), |info| {
                    Value::Numbers(vec![info.flags.into(), info.size, info.offset])
                })
            }
            Step::IrqInfo { index, argsz } => {
                answer(ffi::irq_info(device, index, Some(argsz)), |info| {
                    Value::Numbers(vec![info.flags.into(), info.count.into()])
                })
            }
            Step::DeviceInfo { argsz } => answer(ffi::device_info(device, Some(argsz)), |info| {
                Value::Numbers(vec![
                    info.flags.into(),
                    info.num_regions.into(),
                    info.num_irqs.into(),
                ])
            }),
            Step::ReadRegion { offset, length } => {
                let mut data = vec![0; length];
                let done = device.read_region(BAR2, offset, &mut data);
                answer(done, |done| Value::Bytes(data[..done].to_vec()))
            }
            Step::WriteRegion {
                offset,
                length,
                value,
            } => {
                let bytes = &value.to_le_bytes()[..length];
                answer(device.write_region(BAR2, offset, bytes), |done| {
                    Value::Number(done as u64)
                })
            }
            Step::Map { offset, length } => {
                answer(device.map_region(BAR2, offset, length), |map| {
                    Value::Number(map.len() as u64)
                })
            }
            Step::IoEventFd { offset } => {
                answer(device.ioeventfd(BAR2, offset, 0), |_| Value::Done)
            }
            Step::SeekDevice => answer(seek(device), Value::Number),
            Step::Reset(reset) => {
                let done = match reset {
                    Reset::Config => device.reset_by_capability(),
                    _ => device.reset(),
                };
                self.lost();
                answer(done, |()| Value::Done)
            }
            _ => Ok(Value::Nothing),
        }
    }
}

fn seek(fd: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))?)
}
