// SPDX-License-Identifier: GPL-2.0

//! What each step of a migration and each debug file costs, for the C and for our driver.
//!
//! Every step is run several times; the median of each quantity is reported.

mod meter;
mod together;

use std::fs;

use anyhow::{Context, Result, ensure};
use protocol::{Measure, Setup};

use crate::host::{self, Host};
use crate::scenario::support::debugfs;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use control::Report;
use linux::sysfs;
use meter::{Accesses, Allocations, Meter, Steps};
use vfio_client::{DataFile, Device, State};
use vm::engine::ZIP;
use vm::qm::Vm;

pub(super) use together::run as together;

const ROUNDS: usize = 15;

pub(super) fn run(setup: &Setup, measure: Measure, report: &mut Report) -> Result<()> {
    let host = Host::prepare(setup, 2)?;
    let mut steps = Steps::default();
    let measured = match measure {
        Measure::Allocations => {
            Allocations::prepare()?;
            let module = format!("/sys/module/{}/coresize", host::module_of(host.driver));
            steps.add(
                "the module",
                [("bytes", sysfs::read(module)?.trim().parse()?)],
            );
            rounds::<Allocations>
        }
        Measure::Accesses => rounds::<Accesses>,
    };
    report.point("steps of a migration", || measured(&host, &mut steps));
    steps.tell();
    Ok(())
}

fn rounds<M: Meter>(host: &Host, steps: &mut Steps) -> Result<()> {
    let mut vm = ZIP.vm(1)?;
    let device = vm.open(host.kind, &host.vfs[0])?;
    vm.attach(device);
    vm.bring_up()?;
    for round in 0..ROUNDS {
        let to = (round + 1) % 2;
        Round::<M>::new(host, steps).migrate(&mut vm, to)?;
    }
    vm.verify()
}

/// A migration from one VF to the other.
struct Round<'a, M> {
    host: &'a Host,
    steps: &'a mut Steps,
    meter: std::marker::PhantomData<M>,
}

impl<'a, M: Meter> Round<'a, M> {
    fn new(host: &'a Host, steps: &'a mut Steps) -> Self {
        Self {
            host,
            steps,
            meter: std::marker::PhantomData,
        }
    }

    fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.steps.step::<M, T>(name, step)
    }

    fn arc(&mut self, name: &str, device: &Device, to: State) -> Result<Option<DataFile>> {
        self.step(name, || Ok(device.set_state(to)?))
    }

    fn migrate(&mut self, vm: &mut Vm, to: usize) -> Result<()> {
        vm.submit(8)?;
        vm.finish()?;

        let source = vm.device()?;
        self.arc("RUNNING to STOP", source, State::Stop)?;
        self.arc("STOP to RUNNING", source, State::Running)?;
        let file = self
            .arc("RUNNING to PRE_COPY", source, State::PreCopy)?
            .context("no data file")?;
        let mut stream = self.step("read in PRE_COPY", || file.read_available(MATCH_SIZE))?;
        self.arc("PRE_COPY to STOP_COPY", source, State::StopCopy)?;
        stream.extend(self.step("read in STOP_COPY", || file.read_available(STREAM_SIZE))?);
        ensure!(
            stream.len() == STREAM_SIZE,
            "the stream has {} bytes",
            stream.len()
        );
        self.arc("STOP_COPY to STOP", source, State::Stop)?;
        self.debug_files(1 - to)?;
        let source = vm.detach()?;

        let target = &self.host.vfs[to];
        let driver = self.host.driver_name()?;
        target.unbind()?;
        self.step("bind", || target.bind(&driver))?;
        let kind = self.host.kind;
        let mut device = self.step("open", || vm.open(kind, target))?;
        self.arc("RUNNING to STOP, fresh", &device, State::Stop)?;
        let file = self
            .arc("STOP to RESUMING", &device, State::Resuming)?
            .context("no data file")?;
        self.step("write in RESUMING", || {
            file.write_chunks(&stream, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE])
        })?;
        device.enable()?;
        self.arc("RESUMING to STOP", &device, State::Stop)?;
        self.arc("STOP to RUNNING, loaded", &device, State::Running)?;
        vm.attach(device);
        self.step("close", || {
            drop(source);
            Ok(())
        })?;
        vm.submit(8)?;
        vm.finish()
    }

    /// Reads each file that the driver has of VF `index`, which is stopped after a save.
    fn debug_files(&mut self, index: usize) -> Result<()> {
        let folder = debugfs::device(self.host.vfs[index].name()).join("migration/hisi_acc");
        for path in debugfs::entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.context("a file without name")?;
            self.step(&format!("read {name}"), || {
                fs::read(&path).with_context(|| format!("reading {}", path.display()))
            })?;
        }
        Ok(())
    }
}
