// SPDX-License-Identifier: GPL-2.0

//! What a guest of the emulated host does: it has a VF of one accelerator or of several, loads
//! their drivers, and keeps all of them at work until it gets another order. It knows nothing of
//! migration.
//!
//! It gets each [`Order`] on the control channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use control::Report;
use linux::sysfs::Function;
use protocol::channel::{Line, Order};
use protocol::{Begin, Loads, Setup, Workload};
use rustix::system::{RebootCommand, reboot};
use vm::engine::{self, Accelerator};

use super::hot_plug;
use super::programs::Programs;
use crate::expect;
use crate::host;
use crate::modules::{self, Modules};
use crate::scenario::support::crypto_load::{self, Workers};

/// Small buffers, for many requests on an emulated CPU.
const MAX_LEN: usize = 16 << 10;
/// How often a VF is still reset when resets are to end and none has succeeded: on a busy machine the
/// order to end can come before the first one.
const LATE_TRIES: u32 = 20;
/// Between two reports.
const PERIOD: Duration = Duration::from_millis(50);

/// The machine, and what it does.
struct Payload {
    modules: Modules,
    accelerators: Vec<&'static Accelerator>,
    workload: Workload,
    work: Option<Work>,
    resets: Option<Resets>,
}

/// What keeps the VFs at work.
enum Work {
    Check(Workers),
    Programs(Programs),
}

impl Work {
    fn end(self, report: &mut Report) -> Result<Loads> {
        match self {
            Work::Check(workers) => workers.end(),
            Work::Programs(programs) => programs.end(report),
        }
    }
}

/// Resets VFs over and over, until [`Resets::end`].
struct Resets {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Resets {
    fn start(vfs: Vec<Function>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            let mut late = 0..LATE_TRIES;
            while !is_over.load(Ordering::Relaxed) || count == 0 && late.next().is_some() {
                for vf in &vfs {
                    match vf.reset() {
                        Ok(()) => count += 1,
                        // The host resets it, too.
                        Err(error) => println!("{error:#}"),
                    }
                }
            }
            count
        });
        Resets { over, thread }
    }

    /// Returns how many resets have succeeded.
    fn end(self) -> Result<u32> {
        self.over.store(true, Ordering::Relaxed);
        let count = self.thread.join();
        count.map_err(|_| anyhow!("the thread that resets has panicked"))
    }
}

impl Payload {
    fn work(&mut self, report: &mut Report) {
        for accelerator in &self.accelerators {
            let module = accelerator.module;
            report.point(&format!("{module} has the VF"), || {
                host::load_driver(&self.modules, accelerator, "")?;
                let function = Function::find(host::HUAWEI, accelerator.vf)?;
                expect::equal("driver", function.driver().as_deref(), Some(module))
            });
            report.point(&format!("the self-tests of {module}"), || {
                host::end_of_self_tests(module)?;
                for (driver, result) in host::algorithms(module)? {
                    ensure!(result == "passed", "{driver}: self-test {result}");
                }
                Ok(())
            });
        }
        self.work = match self.workload {
            Workload::Check => Some(Work::Check(Workers::start(&self.accelerators))),
            Workload::Programs => {
                Programs::start(&self.modules, &self.accelerators, report).map(Work::Programs)
            }
        };
    }

    fn rest(&mut self, report: &mut Report) -> Result<()> {
        if let Some(work) = self.work.take() {
            let loads = work.end(report)?;
            ensure!(loads.values().all(|load| load.lost == 0), "{loads:?}");
        }
        for accelerator in &self.accelerators {
            modules::unload(accelerator.module)?;
        }
        Ok(())
    }

    /// The VFs.
    fn vfs(&self) -> Result<Vec<Function>> {
        let accelerators = self.accelerators.iter();
        accelerators
            .map(|accelerator| Function::find(host::HUAWEI, accelerator.vf))
            .collect()
    }

    fn reset(&self) -> Result<()> {
        self.vfs()?.iter().try_for_each(Function::reset)
    }

    fn end_resetting(&mut self) -> Result<()> {
        let resets = self.resets.take().context("the VFs are not being reset")?;
        let count = resets.end()?;
        println!("{count} resets");
        ensure!(count > 0, "no reset has succeeded");
        Ok(())
    }

    fn obey(&mut self, order: Order, report: &mut Report) -> Result<()> {
        match order {
            Order::Work => self.work(report),
            Order::Rest => self.rest(report)?,
            Order::Unplug => self.vfs()?.iter().try_for_each(hot_plug::unplug)?,
            Order::Plug => hot_plug::plug()?,
            Order::Reset => self.reset()?,
            Order::KeepResetting => self.resets = Some(Resets::start(self.vfs()?)),
            Order::EndResetting => self.end_resetting()?,
            Order::Reboot => reboot(RebootCommand::Restart)?,
            Order::End => self.end(report)?,
        }
        Ok(())
    }

    /// Ends the work and checks it.
    fn end(&mut self, report: &mut Report) -> Result<()> {
        let work = self.work.take().context("there is no work to end")?;
        let loads = work.end(report)?;
        tell(loads.clone());
        for (engine, load) in loads {
            report.point(&format!("{engine}: every request came back"), || {
                ensure!(load.is_flawless(), "{load}");
                ensure!(load.done > 0, "the device has done nothing");
                Ok(())
            });
        }
        Ok(())
    }

    /// How far the work is.
    fn loads(&self) -> Result<Loads> {
        match (&self.work, self.workload) {
            (Some(Work::Programs(programs)), _) => programs.loads(),
            (None, Workload::Programs) => Ok(Loads::new()),
            (_, Workload::Check) | (Some(Work::Check(_)), _) => {
                crypto_load::loads(&self.accelerators)
            }
        }
    }
}

fn tell(loads: Loads) {
    control::send(&Line::Load(loads));
}

/// The orders as they come. [`Order::End`] is the last one.
fn orders() -> Receiver<Order> {
    let (sender, orders) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            match control::await_order() {
                Ok(order) => {
                    let is_last = order == Order::End;
                    if sender.send(order).is_err() || is_last {
                        return;
                    }
                }
                Err(error) => return println!("no order will come: {error:#}"),
            }
        }
    });
    orders
}

pub(crate) fn run(setup: &Setup, begin: Begin, report: &mut Report) -> Result<()> {
    let mut at_work = Payload {
        modules: host::modules(setup)?,
        accelerators: engine::chosen(setup),
        workload: setup.workload.unwrap_or_default(),
        work: None,
        resets: None,
    };
    // The check comes with software of its own.
    host::load_self_tests(&at_work.modules)?;
    if at_work.workload == Workload::Check {
        at_work
            .modules
            .load_with("crypto_check", &format!("max_len={MAX_LEN}"))?;
    }
    if begin == Begin::Work {
        at_work.work(report);
    }
    let orders = orders();
    loop {
        match orders.recv_timeout(PERIOD) {
            Ok(order) => {
                let obeyed = at_work.obey(order, report);
                if order == Order::End {
                    return obeyed;
                }
                control::send(&match obeyed {
                    Ok(()) => Line::Did(order),
                    Err(error) => Line::Failed(order, format!("{error:#}")),
                });
            }
            Err(RecvTimeoutError::Timeout) => tell(at_work.loads()?),
            Err(RecvTimeoutError::Disconnected) => bail!("no order can come any more"),
        }
    }
}
