// SPDX-License-Identifier: GPL-2.0

//! One of the pair: a VF with one of the two drivers, a VM on it, and the code that does the steps.

mod device;
mod files;
mod registers;
mod vm;

use std::sync::Arc;

use anyhow::{Context, Result};

use super::observation::{Answer, Observation, Value, answer, answer_of_many};
use super::step::{Reset, Step};
use super::stream::Bases;
use crate::expect::errno;
use crate::host::{Driver, Host};
use crate::scenario::support::debugfs;
use crate::scenario::support::stream_layout::STREAM_SIZE;
use ::vm::qm::{Engine, IOVA, Vm};
use linux::sysfs::Function;
use registers::Registers;
use vfio_client::{Container, DataFile, Device, Kind, State};

/// Seed of the VMs' work: both do the same.
const WORK_SEED: u64 = 1;

/// A VF and everything that is done with it.
pub(super) struct DriverUnderTest {
    driver: Driver,
    pf: Function,
    vf: Function,
    kind: Kind,
    container: Option<Arc<Container>>,
    vm: Vm,
    /// The driver in the VM has set the function up, and nothing has reset it since.
    up: bool,
    files: Vec<DataFile>,
    registers: Registers,
}

impl DriverUnderTest {
    /// Enables a VF of `pf` and binds it to `driver`.
    pub(super) fn new(
        driver: Driver,
        kind: Kind,
        pf: &Function,
        engine: &'static dyn Engine,
    ) -> Result<Self> {
        pf.enable_vfs(1, false)?;
        let vf = pf.virtual_function(0)?;
        vf.bind(&Host::name_of(driver)?)?;
        Ok(DriverUnderTest {
            driver,
            pf: pf.clone(),
            registers: Registers::new(pf, &vf)?,
            vf,
            kind,
            container: None,
            vm: Vm::with(engine, IOVA, WORK_SEED)?,
            up: false,
            files: Vec::new(),
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
        self.registers.mask_messages();
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
        self.registers.open_windows();
        Ok(())
    }

    /// Reads the PF's table of queues, so that a transaction that was cut off is none any more.
    pub(super) fn finish_table(&self) {
        self.registers.finish_table();
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
            image: device.map(|_| self.registers.image()),
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
            | Step::Poll(_)
            | Step::CloseFile => self.answer_of_file(step, bases),
            Step::Debug(file) => {
                let path = debugfs::device(self.vf.name()).join(file.path());
                answer(debugfs::content(&path), Value::Text)
            }
            Step::DebugOurs(_) if !self.driver.is_rust() => Ok(Value::Nothing),
            Step::DebugOurs(name) => {
                let path = debugfs::device(self.vf.name()).join("migration/hisi_acc");
                // What is in it is for the tests of these files.
                let _ = debugfs::content(&path.join(name));
                Ok(Value::Nothing)
            }
            Step::Reset(Reset::Sysfs) => {
                let reset = self.vf.reset();
                self.lost();
                answer_of_many(reset, |()| Value::Done)
            }
            Step::ResetPf => answer_of_many(self.reset_pf(), |()| Value::Done),
            // The two drivers do it together.
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
}
