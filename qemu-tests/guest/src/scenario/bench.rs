// SPDX-License-Identifier: GPL-2.0

//! What each step of a migration costs, for the C and for our driver.
//!
//! Accesses are counted by the device and do not vary. Time is the machine's own: the host runs
//! it with one nanosecond for each instruction, so that it is instructions, plus what is waited.
//! Every step is taken several times and the median told, as
//!
//! ```text
//! @dump <step> reads=<n> writes=<n> doorbells=<n> mailbox=<n> time=<ns>
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::transfer::{MATCH_SIZE, STREAM_SIZE};
use crate::Options;
use crate::control::{self, Report};
use crate::host::Host;
use crate::qm::Vm;
use crate::vfio::{DataFile, Device, State};

const ROUNDS: usize = 15;

/// What the device has seen so far, or between two moments.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    reads: u64,
    writes: u64,
    doorbells: u64,
    mailbox: u64,
    time: u64,
}

impl Cost {
    /// Sums over all functions: a driver may reach a VF through its PF.
    fn so_far() -> Result<Self> {
        let counters = control::get("counters")?;
        let functions = counters.as_object().context("counters is no object")?;
        let mut sum = Self::default();
        for (_, function) in functions.iter().filter(|(name, _)| name.starts_with("fn")) {
            let number = |key: &str| function.get(key).and_then(Value::as_u64).unwrap_or(0);
            sum.reads += number("reads");
            sum.writes += number("writes");
            sum.doorbells += number("doorbells");
            let commands = function.get("mailbox").and_then(Value::as_object);
            let commands = commands.context("counters without mailbox")?;
            sum.mailbox += commands.values().filter_map(Value::as_u64).sum::<u64>();
        }
        Ok(sum)
    }
}

/// All measurements, by step in the order in which they came.
#[derive(Default)]
struct Bench {
    order: Vec<&'static str>,
    costs: BTreeMap<&'static str, Vec<Cost>>,
}

impl Bench {
    fn step<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = Cost::so_far()?;
        let start = Instant::now();
        let result = step().context(name)?;
        let time = u64::try_from(start.elapsed().as_nanos())?;
        let after = Cost::so_far()?;
        if !self.costs.contains_key(name) {
            self.order.push(name);
        }
        self.costs.entry(name).or_default().push(Cost {
            reads: after.reads - before.reads,
            writes: after.writes - before.writes,
            doorbells: after.doorbells - before.doorbells,
            mailbox: after.mailbox - before.mailbox,
            time,
        });
        Ok(result)
    }

    fn arc(&mut self, name: &'static str, device: &Device, to: State) -> Result<Option<DataFile>> {
        self.step(name, || Ok(device.set_state(to)?))
    }

    fn tell(mut self) {
        for name in self.order {
            let Some(costs) = self.costs.get_mut(name) else {
                continue;
            };
            costs.sort_by_key(|cost| cost.time);
            let Cost {
                reads,
                writes,
                doorbells,
                mailbox,
                time,
            } = costs[costs.len() / 2];
            control::line(&format!(
                "@dump {name} reads={reads} writes={writes} doorbells={doorbells} mailbox={mailbox} time={time}"
            ));
        }
    }
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let host = Host::prepare(options, 2)?;
    let mut bench = Bench::default();
    let mut vm = Vm::new(1)?;
    report.point("steps of a migration", || {
        let device = vm.open(host.kind, &host.vfs[0])?;
        vm.attach(device);
        vm.bring_up()?;
        for round in 0..ROUNDS {
            migrate(&mut bench, &host, &mut vm, (round + 1) % 2)?;
        }
        vm.verify()
    });
    bench.tell();
    Ok(())
}

fn migrate(bench: &mut Bench, host: &Host, vm: &mut Vm, to: usize) -> Result<()> {
    vm.submit(8)?;
    vm.finish()?;

    let source = vm.device()?;
    bench.arc("RUNNING to STOP", source, State::Stop)?;
    bench.arc("STOP to RUNNING", source, State::Running)?;
    let file = bench
        .arc("RUNNING to PRE_COPY", source, State::PreCopy)?
        .context("no data file")?;
    let mut stream = bench.step("read in PRE_COPY", || file.read_available(MATCH_SIZE))?;
    bench.arc("PRE_COPY to STOP_COPY", source, State::StopCopy)?;
    stream.extend(bench.step("read in STOP_COPY", || file.read_available(STREAM_SIZE))?);
    ensure!(
        stream.len() == STREAM_SIZE,
        "the stream has {} bytes",
        stream.len()
    );
    bench.arc("STOP_COPY to STOP", source, State::Stop)?;
    let source = vm.detach()?;

    let mut device = bench.step("open", || vm.open(host.kind, &host.vfs[to]))?;
    bench.arc("RUNNING to STOP, fresh", &device, State::Stop)?;
    let file = bench
        .arc("STOP to RESUMING", &device, State::Resuming)?
        .context("no data file")?;
    bench.step("write in RESUMING", || {
        file.write_chunks(&stream, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE])
    })?;
    device.enable()?;
    bench.arc("RESUMING to STOP", &device, State::Stop)?;
    bench.arc("STOP to RUNNING, loaded", &device, State::Running)?;
    vm.attach(device);
    bench.step("close", || {
        drop(source);
        Ok(())
    })?;
    vm.submit(8)?;
    vm.finish()
}
