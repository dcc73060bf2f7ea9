// SPDX-License-Identifier: GPL-2.0

//! The guest, as one sees it from outside: its two serial ports.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use linux::timeouts::{Deadline, slowness};
use protocol::channel::{Answer, Line, Order, Request};
use protocol::{Begin, Driver, Engine, List, Load, Loads, Scenario, Task, What, Workload};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Orders;
use super::port::{POLL, Port};
use super::report::tell;

/// The file with what the guest's kernel says.
pub const CONSOLE: &str = "/tmp/guest.console";
const CONTROL: &str = "/tmp/guest.control";

/// For how long a CPU of it may not pass through a quiescent state of RCU, on a normal host; in s,
/// as its kernel has it (`CONFIG_RCU_CPU_STALL_TIMEOUT`). What that kernel takes is 3 to 300.
const RCU_STALL_S: u32 = 21;

/// What the guest has reported since it was started or reset last.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Heard {
    /// How often it was started or reset.
    boots: u64,
    loads: Loads,
    reports: u64,
    /// KTAP.
    results: Vec<String>,
    /// How its orders were carried out.
    answers: Vec<Result<(), String>>,
    /// Whether the guest has come to its end.
    ended: bool,
}

impl Heard {
    /// A result that is not good, and what comes before it.
    fn failure(&self) -> Option<String> {
        let results = &self.results;
        let place = results
            .iter()
            .position(|line| line.starts_with("not ok "))?;
        let reasons = results[..place].iter().rev();
        let mut lines: Vec<&str> = reasons
            .map(String::as_str)
            .take_while(|line| line.starts_with('#'))
            .collect();
        lines.reverse();
        lines.push(&results[place]);
        Some(lines.join("; "))
    }
}

/// State that moves with a guest between hosts, or is stored with its saved file.
#[derive(Clone, Serialize, Deserialize)]
pub struct TransferredState {
    heard: Heard,
    /// Incomplete lines of its console and of its control port.
    begun: [String; 2],
}

/// A guest, wherever it is.
pub struct Guest {
    heard: Arc<Mutex<Heard>>,
    console: Port,
    control: Port,
    /// The accelerators that it has a VF of.
    engines: Vec<Engine>,
    /// Its first activity after booting.
    begins: Begin,
    /// What it does.
    workload: Workload,
}

impl Guest {
    /// Makes the ports ready and listens to them from now on. The guest has a VF of each of these
    /// accelerators, and will work as soon as it can.
    pub fn new(engines: Vec<Engine>) -> Result<Self> {
        Self::with(engines, |take| Port::listen(CONTROL, take))
    }

    /// As [`Self::new`], for a monitor that writes to a pipe what comes from the control port.
    pub fn behind_pipe(engines: Vec<Engine>, pipe: &Path) -> Result<Self> {
        Self::with(engines, |take| Port::listen_to_pipe(pipe, take))
    }

    fn with(
        engines: Vec<Engine>,
        listen: impl FnOnce(Box<dyn FnMut(&str) + Send>) -> Result<Port>,
    ) -> Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let console = Port::listen(CONSOLE, |line| {
            control::send(&Line::GuestLog(line.to_owned()))
        })?;
        let hearing = Arc::clone(&heard);
        Ok(Guest {
            heard,
            console,
            control: listen(Box::new(move |line| hear(&hearing, line)))?,
            engines,
            begins: Begin::Work,
            workload: Workload::Check,
        })
    }

    /// The guest will have no driver for its VF until it is ordered to work.
    pub fn resting(mut self) -> Self {
        self.begins = Begin::Rest;
        self
    }

    /// The guest will do this when it works.
    pub fn doing(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    /// How much memory it has. As little as will do: all that is not zero is sent while the guest
    /// stands still, as nothing tells which pages a device has written.
    pub fn mebibytes(&self) -> u32 {
        match self.workload {
            // Debian's kernel, and a root with the programs
            Workload::Programs => 1024,
            // hisi_sec2 takes megabytes for each of its queues.
            Workload::Check if self.engines.contains(&Engine::Sec) => 512,
            Workload::Check => 128,
        }
    }

    /// The command line of its kernel.
    pub fn command_line(&self) -> String {
        let mut task = Task::from(Scenario::AtWork {
            begin: Some(self.begins),
        });
        task.setup.vfio = Some(Driver::C);
        task.setup.engines = Some(List(self.engines.clone()));
        task.setup.workload = Some(self.workload);
        let slowness = slowness();
        let stall = slowness * RCU_STALL_S;
        let more = match self.workload {
            // hisi_sec2 asks for more contiguous memory than the default area has, which the kernel
            // reports at length before it takes memory from elsewhere.
            Workload::Programs => "cma=0 ",
            Workload::Check => "",
        };
        format!(
            "console=ttyAMA0 panic=-1 slowness={slowness} \
             rcupdate.rcu_cpu_stall_timeout={stall} {more}{task}"
        )
    }

    /// QEMU's arguments for the ports; orders come from that file.
    pub(crate) fn serial_ports(&self, orders: &Path) -> Vec<String> {
        let file = |id, path| format!("file,id={id},path={path},append=on");
        let input = format!("input-path={}", orders.display());
        let control = format!("{},{input}", file("control", CONTROL));
        let console = file("console", CONSOLE);
        let words = ["-chardev", &console, "-serial", "chardev:console"];
        let more = ["-chardev", &control, "-serial", "chardev:control"];
        words.into_iter().chain(more).map(str::to_owned).collect()
    }

    /// The guest has gone to another host, or to a file. None of its reports are left here.
    pub fn leaves(&self) -> Result<TransferredState> {
        let begun = [self.console.begun()?, self.control.begun()?];
        let heard = std::mem::take(&mut *lock(&self.heard));
        Ok(TransferredState { heard, begun })
    }

    /// The guest will come from another host, and may go on before [`Self::arrives`] is called.
    pub fn will_arrive(&self) {
        self.console.wait();
        self.control.wait();
    }

    /// The guest comes from another host, or from a file; it has not gone on yet.
    pub fn arrives(&self, transferred: TransferredState) {
        let TransferredState { heard, begun } = transferred;
        *lock(&self.heard) = heard;
        let [console, control] = begun;
        self.console.begin(console);
        self.control.begin(control);
    }

    fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&lock(&self.heard))
    }

    /// The guest's work so far, by engine, and by program if programs of the guest use the engines.
    pub fn loads(&self) -> Loads {
        self.heard(|heard| heard.loads.clone())
    }

    /// The guest's work so far, of all engines.
    pub fn load(&self) -> Load {
        self.heard(|heard| {
            let engines = self.engines.iter();
            let loads = engines.filter_map(|engine| heard.loads.get(engine.name()));
            loads.copied().sum()
        })
    }

    /// Whether the guest's program runs, since it was started or reset last.
    pub fn is_up(&self, timeout: Duration) -> Result<()> {
        self.until(timeout, |heard| heard.reports > 0)
            .context("the guest is to come up")
    }

    /// How often the guest was started or reset.
    pub fn boots(&self) -> u64 {
        self.heard(|heard| heard.boots)
    }

    /// Waits until the guest has been started or reset more often than `boots` times.
    pub fn boots_again(&self, boots: u64, timeout: Duration) -> Result<()> {
        self.until(timeout, |heard| heard.boots > boots)
            .context("the guest is to boot again")
    }

    /// Waits until each engine has done `more` of the guest's requests from now on, and until each
    /// program of the guest has sent so many.
    pub fn does(&self, more: u64, timeout: Duration) -> Result<()> {
        let done = |loads: &Loads, engine: &str| loads.get(engine).map_or(0, |load| load.done);
        let before = self.loads();
        let does = |loads: &Loads, name: &str| done(loads, name) >= done(&before, name) + more;
        self.until(timeout, |heard| {
            let mut engines = self.engines.iter();
            let programs = heard.loads.keys();
            engines.all(|engine| does(&heard.loads, engine.name()))
                && programs.into_iter().all(|name| does(&heard.loads, name))
        })
        .with_context(|| format!("each engine is to do {more} requests more than {before:?}"))
    }

    fn until(&self, timeout: Duration, condition: impl Fn(&Heard) -> bool) -> Result<()> {
        let deadline = Deadline::after(timeout);
        loop {
            let (done, reports) = self.heard(|heard| (condition(heard), heard.reports));
            if done {
                return Ok(());
            }
            // It would not begin to work any more.
            if let Some(failure) = self.heard(Heard::failure) {
                bail!("the guest: {failure}");
            }
            if deadline.is_over() {
                let (limit, loads) = (deadline.limit, self.loads());
                bail!("not within {limit:?}; {reports} reports came, the last one: {loads:?}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Lets the guest, which `vmm` has, carry out an order.
    pub fn obeys(
        &self,
        vmm: &mut impl AsMut<Orders>,
        order: Order,
        timeout: Duration,
    ) -> Result<()> {
        let answered = self.heard(|heard| heard.answers.len());
        vmm.as_mut().send(order)?;
        self.until(timeout, |heard| heard.answers.len() > answered)
            .with_context(|| format!("the guest is told to {order}"))?;
        match self.heard(|heard| heard.answers[answered].clone()) {
            Ok(()) => Ok(()),
            Err(reason) => bail!("the guest: {reason}"),
        }
    }

    /// Lets the guest, which `vmm` has, reset its machine. Returns when it has begun anew.
    pub fn reboots(&self, vmm: &mut impl AsMut<Orders>, timeout: Duration) -> Result<()> {
        let boots = self.boots();
        vmm.as_mut().send(Order::Reboot)?;
        self.boots_again(boots, timeout)
    }

    /// Lets the guest, which `vmm` has, end its work and shut down. Fails if the guest finds
    /// anything wrong.
    pub fn end(&self, vmm: &mut impl AsMut<Orders>, timeout: Duration) -> Result<Load> {
        vmm.as_mut().send(Order::End)?;
        self.until(timeout, |heard| heard.ended)?;
        // It waits for an answer before it powers off.
        vmm.as_mut().send(Answer(Ok(Value::Null)))?;
        let results = self.heard(|heard| heard.results.clone());
        check(&results).with_context(|| results.join("\n"))?;
        Ok(self.load())
    }
}

/// The results must be good, and all of them there, as they were written, by whichever monitor had
/// the guest then.
fn check(results: &[String]) -> Result<()> {
    let (mut good, mut planned) = (0, None);
    for line in results {
        if line.starts_with("ok ") {
            good += 1;
        } else if let Some(plan) = line.strip_prefix("1..") {
            planned = Some(plan.parse()?);
        } else {
            ensure!(line.starts_with('#'), "the guest says {line:?}");
        }
    }
    ensure!(
        planned == Some(good),
        "{planned:?} results were to come, {good} did"
    );
    Ok(())
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hear(heard: &Mutex<Heard>, line: &str) {
    let mut heard = lock(heard);
    // What the guest was about to say when it was reset has no end.
    if line.ends_with(control::KTAP_VERSION) {
        *heard = Heard {
            boots: heard.boots + 1,
            ..Heard::default()
        };
        return;
    }
    match line.parse() {
        Ok(Line::Load(engines)) => {
            heard.loads = engines.clone();
            heard.reports += 1;
            tell(What::Load { engines });
        }
        Ok(Line::Did(order)) => {
            control::show(format!("the guest did as told: {order}"));
            heard.answers.push(Ok(()));
        }
        Ok(Line::Failed(order, reason)) => heard.answers.push(Err(format!("{order}: {reason}"))),
        Ok(Line::Request(Request::End)) => heard.ended = true,
        Ok(other) => heard.results.push(other.to_string()),
        Err(error) => heard.results.push(format!("Bail out! {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn results_that_are_not_good_or_not_there_are_noticed() {
        let checked = |text: &str| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            check(&lines)
        };
        checked("# all went well\nok 1 self-tests\nok 2 zip\n1..2").unwrap();
        for wrong in [
            "not ok 1 self-tests\nok 2 zip\n1..2",
            "ok 2 zip\n1..2",
            "ok 1 self-tests\nok 2 zip",
            "ok 1 self-tests\ns\":{\"zip\":{\"done\":7}}}\nok 2 zip\n1..2",
            "ok 1 self-tests\nok 2 zip\n1..2\nBail out! no work",
        ] {
            checked(wrong).unwrap_err();
        }
    }
}
