// SPDX-License-Identifier: GPL-2.0

//! The guest, as one sees it from outside: its two serial ports.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde::{Deserialize, Serialize};
use timeline::{Load, What};

use super::port::Port;
use super::{POLL, tell};
use crate::control;
use crate::engine::{ALL, Accelerator};

const CONSOLE: &str = "/tmp/guest.console";
const CONTROL: &str = "/tmp/guest.control";
/// What is written to the guest's control port. Both monitors have it open, so nothing may be
/// written while there are two.
const ORDERS: &str = "/tmp/guest.orders";

#[derive(Clone, Default, Serialize, Deserialize)]
struct Heard {
    load: Load,
    reports: u64,
    /// KTAP.
    results: Vec<String>,
    /// Whether the guest has come to its end.
    ended: bool,
}

/// What goes from host to host with a guest.
#[derive(Serialize, Deserialize)]
pub(crate) struct Luggage {
    heard: Heard,
    /// What it has begun to write to its console and to its control port.
    begun: [String; 2],
}

/// A guest that is at work, wherever it is.
pub(crate) struct Guest {
    heard: Arc<Mutex<Heard>>,
    console: Port,
    control: Port,
    orders: File,
    /// Whether it has a VF of each accelerator, and not of ZIP alone.
    has_all: bool,
}

impl Guest {
    /// Makes the ports ready and listens to them from now on.
    pub(crate) fn new(accelerators: &[&Accelerator]) -> Result<Self> {
        let _ = fs::remove_file(ORDERS);
        mknodat(CWD, ORDERS, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .with_context(|| format!("cannot create {ORDERS}"))?;
        // For both, so that it opens without a reader and stays open between two of them.
        let orders = OpenOptions::new().read(true).write(true).open(ORDERS)?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let console = Port::listen(CONSOLE, |line| control::line(&format!("@guest {line}")))?;
        let hearing = Arc::clone(&heard);
        let control = Port::listen(CONTROL, move |line| hear(&hearing, line))?;
        Ok(Guest {
            heard,
            console,
            control,
            orders,
            has_all: accelerators.len() == ALL.len(),
        })
    }

    /// How much it has, as QEMU takes it. As little as will do: all that is not zero is sent while
    /// the guest stands still, as nothing tells which pages a device has written.
    pub(super) fn memory(&self) -> &'static str {
        // hisi_sec2 takes megabytes for each of its queues.
        if self.has_all { "512M" } else { "128M" }
    }

    /// The command line of its kernel.
    pub(super) fn command_line(&self) -> String {
        let engine = if self.has_all { "all" } else { "zip" };
        format!("console=ttyAMA0 panic=-1 vfio=c scenario=at-work engine={engine}")
    }

    /// QEMU's arguments for the ports.
    pub(super) fn serial_ports(&self) -> Vec<String> {
        let file = |id, path| format!("file,id={id},path={path},append=on");
        let control = format!("{},input-path={ORDERS}", file("control", CONTROL));
        let console = file("console", CONSOLE);
        let words = ["-chardev", &console, "-serial", "chardev:console"];
        let more = ["-chardev", &control, "-serial", "chardev:control"];
        words.into_iter().chain(more).map(str::to_owned).collect()
    }

    /// The guest has gone to another host.
    pub(crate) fn leaves(&self) -> Result<Luggage> {
        let begun = [self.console.begun()?, self.control.begun()?];
        let heard = self.heard(Heard::clone);
        Ok(Luggage { heard, begun })
    }

    /// The guest comes from another host; it has not gone on yet.
    pub(crate) fn arrives(&self, luggage: Luggage) {
        let Luggage { heard, begun } = luggage;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        let [console, control] = begun;
        self.console.begin(console);
        self.control.begin(control);
    }

    fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the guest has done.
    pub(crate) fn load(&self) -> Load {
        self.heard(|heard| heard.load)
    }

    /// Waits until the guest's program runs.
    pub(crate) fn is_up(&self, timeout: Duration) -> Result<()> {
        self.until(timeout, |heard| heard.reports > 0)
            .context("the guest is to come up")
    }

    /// Waits until the guest has done `more` requests from now on.
    pub(crate) fn does(&self, more: u64, timeout: Duration) -> Result<()> {
        let goal = self.load().done + more;
        self.until(timeout, |heard| heard.load.done >= goal)
            .with_context(|| format!("the guest's work is to come to {goal} requests"))
    }

    fn until(&self, timeout: Duration, condition: impl Fn(&Heard) -> bool) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let (done, reports, load) =
                self.heard(|heard| (condition(heard), heard.reports, heard.load));
            if done {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not within {timeout:?}; {reports} reports came, the last one: {load:?}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Has the guest end its work and shut down. Fails if the guest finds anything wrong.
    pub(crate) fn end(&mut self, timeout: Duration) -> Result<Load> {
        self.orders.write_all(b"end\n")?;
        self.until(timeout, |heard| heard.ended)?;
        // It waits for an answer before it powers off.
        self.orders.write_all(b"ok null\n")?;
        let results = self.heard(|heard| heard.results.clone());
        let wrong = results
            .iter()
            .any(|line| line.starts_with("not ok") || line.starts_with("Bail out!"));
        let planned = results.iter().any(|line| line.starts_with("1.."));
        ensure!(planned && !wrong, "{}", results.join("\n"));
        Ok(self.load())
    }
}

fn hear(heard: &Mutex<Heard>, line: &str) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(json) = line.strip_prefix("@load ") {
        match serde_json::from_str(json) {
            Ok(load) => {
                heard.load = load;
                heard.reports += 1;
                tell(What::Load(load));
            }
            Err(error) => heard.results.push(format!("Bail out! {line}: {error}")),
        }
    } else if line == "@host end" {
        heard.ended = true;
    } else {
        heard.results.push(line.to_owned());
    }
}
