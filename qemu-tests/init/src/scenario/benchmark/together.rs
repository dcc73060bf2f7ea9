// SPDX-License-Identifier: GPL-2.0

//! Many VFs that are saved and loaded at once, each by a thread of its own.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use control::Report;
use linux::sysfs::Function;
use protocol::{Driver, Rush, Setup};
use rustix::io::Errno;
use vfio_client::State;
use vm::engine::ZIP;
use vm::qm::Vm;

use super::meter::Steps;
use crate::host::Host;
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

/// Sessions that each thread begins and gives up where only getting into each other's way counts.
const RUSH: usize = 100;

/// How often the steps are taken: one VF alone needs more for a median, and many give one by
/// themselves.
fn rounds(vfs: u32) -> u32 {
    (64 / vfs.max(1)).clamp(3, 15)
}

/// When a thread began a step, and when it had done it.
type Span = (Instant, Instant);

pub(in super::super) fn run(
    setup: &Setup,
    count: u32,
    rush: Rush,
    report: &mut Report,
) -> Result<()> {
    let rush = rush == Rush::Yes;
    let host = Host::prepare(setup, count)?;
    let barrier = Barrier::new(host.vfs.len());
    let mut steps = Steps::default();
    report.point("all are saved and loaded at once", || {
        let lanes = thread::scope(|scope| {
            let threads: Vec<_> = (host.vfs.iter())
                .map(|vf| scope.spawn(|| Lane::new(&barrier, rush).run(&host, vf)))
                .collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.collect::<std::result::Result<Vec<_>, _>>()
        });
        match lanes {
            Ok(lanes) => tell(&lanes, &mut steps),
            Err(_) => bail!("a thread panicked"),
        }
    });
    steps.tell();
    Ok(())
}

/// For each step: what one VF takes in the mean and what all of them do, in ns.
fn tell(lanes: &[Vec<(&'static str, Span)>], steps: &mut Steps) -> Result<()> {
    for (n, (name, _)) in lanes.first().context("no VFs")?.iter().enumerate() {
        let spans = || lanes.iter().map(|lane| lane[n].1);
        let each: u64 = spans().map(|(from, to)| nanos(from, to)).sum();
        let begin = spans().map(|(from, _)| from).min().context("no VFs")?;
        let end = spans().map(|(_, to)| to).max().context("no VFs")?;
        let one = each / lanes.len() as u64;
        steps.add(name, [("one", one), ("all", nanos(begin, end))]);
    }
    Ok(())
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// The work of one thread.
struct Lane<'b> {
    barrier: &'b Barrier,
    rush: bool,
    spans: Vec<(&'static str, Span)>,
}

impl<'b> Lane<'b> {
    fn new(barrier: &'b Barrier, rush: bool) -> Self {
        Self {
            barrier,
            rush,
            spans: Vec::new(),
        }
    }

    /// Takes a step when all others are about to.
    fn step<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.barrier.wait();
        let begin = Instant::now();
        let result = step().context(name)?;
        self.spans.push((name, (begin, Instant::now())));
        Ok(result)
    }

    /// Saves and loads `vf` several times. Without one thread the others would wait forever, so a
    /// failure ends them all.
    fn run(mut self, host: &Host, vf: &Function) -> Vec<(&'static str, Span)> {
        let mut rounds = || -> Result<()> {
            let mut vm = ZIP.vm(1)?;
            vm.attach(vm.open(host.kind, vf)?);
            vm.bring_up()?;
            if self.rush {
                self.barrier.wait();
                for _ in 0..RUSH {
                    match vm.device()?.set_state(State::PreCopy) {
                        Ok(_) => drop(vm.device()?.set_state(State::Running)?),
                        // The C driver asks the PF's table for the VF's queues, and gets another
                        // VF's answer when their transactions interleave.
                        Err(error)
                            if host.driver == Driver::C
                                && Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            let vfs = u32::try_from(host.vfs.len())?;
            (0..rounds(vfs)).try_for_each(|_| self.round(&mut vm))
        };
        if let Err(error) = rounds() {
            panic!("{vf}: {error:#}");
        }
        self.spans
    }

    fn round(&mut self, vm: &mut Vm) -> Result<()> {
        let device = vm.device()?;
        let (file, mut stream) = self.step("begin", || {
            let file = device.set_state_with_file(State::PreCopy)?;
            let head = file.read_available(MATCH_SIZE)?;
            Ok((file, head))
        })?;
        self.step("save", || {
            device.set_state(State::StopCopy)?;
            stream.extend(file.read_available(STREAM_SIZE)?);
            ensure!(stream.len() == STREAM_SIZE, "a stream of {}", stream.len());
            Ok(())
        })?;
        self.step("end", || Ok(device.set_state(State::Stop)?))?;
        self.step("load", || {
            let file = device.set_state_with_file(State::Resuming)?;
            file.write_chunks(&stream, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE])?;
            device.set_state(State::Stop)?;
            Ok(device.set_state(State::Running)?)
        })?;
        // Not measured: whether it still works.
        self.barrier.wait();
        vm.work(4)
    }
}
