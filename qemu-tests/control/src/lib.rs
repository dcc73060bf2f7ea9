// SPDX-License-Identifier: GPL-2.0

//! The line to the runner: KTAP out, requests to the emulated device out, answers in.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;

const PORT: &str = "/dev/ttyAMA1";

struct Port {
    reader: BufReader<File>,
    writer: File,
}

static CONTROL: OnceLock<Mutex<Port>> = OnceLock::new();

/// Opens the port and makes it raw.
pub fn open() -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(PORT)
        .with_context(|| format!("cannot open {PORT}; the machine needs a second serial port"))?;
    let mut settings = tcgetattr(&file)?;
    settings.make_raw();
    tcsetattr(&file, OptionalActions::Now, &settings)?;
    let port = Port {
        writer: file.try_clone()?,
        reader: BufReader::new(file),
    };
    ensure!(
        CONTROL.set(Mutex::new(port)).is_ok(),
        "{PORT} is open already"
    );
    Ok(())
}

fn port() -> Option<MutexGuard<'static, Port>> {
    Some(
        CONTROL
            .get()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

/// Waits for one line that was not asked for, such as an order to end.
///
/// Nothing may be asked while a thread waits here: the answer could come to the wrong one.
pub fn await_line() -> Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(PORT)?).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Sends one line. A lost line shows on the host as a missing one, hence no error here.
pub fn line(text: &str) {
    if let Some(mut port) = port() {
        let _ = port.writer.write_all(format!("{text}\n").as_bytes());
    }
}

/// Reports to the runner that the scenario fails because the one on the other host has failed.
pub fn peer_failed() {
    line("@consequence");
}

/// Reports to the runner what the scenario begins now: the runner names it if the scenario gets no
/// further.
pub fn doing(what: &str) {
    line(&format!("@doing {what}"));
}

/// Sends a line from a panic, when any lock may be held.
pub fn last_words(text: &str) {
    if let Ok(mut port) = OpenOptions::new().write(true).open(PORT) {
        let _ = port.write_all(format!("{text}\n").as_bytes());
    }
}

fn request(text: &str) -> Result<Value> {
    let mut port = port().context("the control port is not open")?;
    port.writer
        .write_all(format!("@host {text}\n").as_bytes())?;
    answer(&mut port, text)
}

/// The answer to the next request that has none yet.
fn answer(port: &mut Port, text: &str) -> Result<Value> {
    let mut answer = String::new();
    port.reader.read_line(&mut answer)?;
    let answer = answer.trim_end();
    match answer.split_once(' ').unwrap_or((answer, "null")) {
        ("ok", json) => serde_json::from_str(json)
            .with_context(|| format!("`{text}` was answered with no JSON: {answer}")),
        ("err", reason) => bail!("the host refused `{text}`: {reason}"),
        _ => bail!("`{text}` was answered with neither ok nor err: {answer:?}"),
    }
}

/// An emulated accelerator, by its id on the machine.
#[derive(Clone, Copy)]
pub struct EmulatedDevice(pub &'static str);

/// The ZIP accelerator that every machine has.
pub const ZIP0: EmulatedDevice = EmulatedDevice("zip0");

impl EmulatedDevice {
    /// Reads a property; one that holds JSON as a string is unwrapped.
    pub fn get(self, property: &str) -> Result<Value> {
        match request(&format!("get {} {property}", self.0))? {
            Value::String(text) => serde_json::from_str(&text)
                .with_context(|| format!("property {property} is no JSON: {text:?}")),
            value => Ok(value),
        }
    }

    /// Writes a property.
    pub fn set(self, property: &str, value: impl Into<Value>) -> Result<()> {
        request(&format!("set {} {property} {}", self.0, value.into())).map(drop)
    }

    /// Sets the engine's latency.
    pub fn set_latency(self, latency: Duration) -> Result<()> {
        self.set("latency-ns", latency.as_nanos() as u64)
    }

    /// Makes the PF report an error on the bus, by QEMU's name for it.
    pub fn bus_error(self, name: &str) -> Result<()> {
        request(&format!("error {} {name}", self.0)).map(drop)
    }

    /// Returns the sum of a counter over all functions.
    pub fn counter(self, name: &str) -> Result<u64> {
        self.get("counters")?
            .get(name)
            .and_then(Value::as_u64)
            .with_context(|| format!("counters has no number of {name}"))
    }

    /// Returns the violation counters that are above zero.
    pub fn violations(self) -> Result<Vec<(String, u64)>> {
        let value = self.get("violations")?;
        let counts = value.as_object().context("violations is no JSON object")?;
        ensure!(!counts.is_empty(), "violations has no kinds at all");
        counts
            .iter()
            .map(|(kind, count)| {
                let count = count.as_u64();
                let count = count.with_context(|| format!("the count of {kind} is no number"))?;
                Ok((kind.clone(), count))
            })
            .filter(|entry| !matches!(entry, Ok((_, 0))))
            .collect()
    }

    /// The last violations in words.
    fn violation_log(self) -> Result<String> {
        let value = request(&format!("get {} violation-log", self.0))?;
        let text = value.as_str().context("violation-log is no text")?;
        Ok(text.to_owned())
    }

    /// Reports what the device counted as violations. If it is to be `clean`, there must be none;
    /// of the C migration driver, which touches what it must not, the counts are only reported.
    pub fn report_violations(self, report: &mut Report, clean: bool) {
        report.point(&format!("violations of {}", self.0), || {
            let found = self.violations()?;
            for (kind, count) in &found {
                line(&format!("# violation {kind} {count}"));
            }
            if !found.is_empty() {
                for text in self.violation_log()?.lines() {
                    line(&format!("# {text}"));
                }
            }
            ensure!(
                !clean || found.is_empty(),
                "expected no violation, got {found:?}"
            );
            Ok(())
        });
    }
}

/// Writes a property of several emulated devices, and waits for all at once.
pub fn set_of_each(ids: &[&str], property: &str, value: impl Into<Value>) -> Result<()> {
    let value = value.into();
    let requests: Vec<String> = ids
        .iter()
        .map(|id| format!("set {id} {property} {value}"))
        .collect();
    let mut lines = String::new();
    for text in &requests {
        lines += &format!("@host {text}\n");
    }
    let mut port = port().context("the control port is not open")?;
    port.writer.write_all(lines.as_bytes())?;
    // All are there before one of them fails this.
    let answers: Vec<_> = requests
        .iter()
        .map(|text| answer(&mut port, text))
        .collect();
    answers.into_iter().try_for_each(|answer| answer.map(drop))
}

/// Plugs the cable of the network card `id` in or pulls it.
pub fn set_link(id: &str, up: bool) -> Result<()> {
    request(&format!("link {id} {up}")).map(drop)
}

/// Test points of one scenario, reported as KTAP.
pub struct Report {
    points: u32,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// Begins the report.
    pub fn new() -> Self {
        line("KTAP version 1");
        Report { points: 0 }
    }

    /// Runs one test point. Any error makes it `not ok` and is reported in full.
    pub fn point(&mut self, name: &str, test: impl FnOnce() -> Result<()>) -> bool {
        let result = test();
        self.points += 1;
        match &result {
            Ok(()) => line(&format!("ok {} {name}", self.points)),
            Err(error) => {
                self.note(&format!("{error:#}"));
                line(&format!("not ok {} {name}", self.points));
            }
        }
        result.is_ok()
    }

    /// Reports a point that cannot run here.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.points += 1;
        line(&format!("ok {} {name} # SKIP {reason}", self.points));
    }

    /// A diagnostic, one line or several.
    pub fn note(&self, text: &str) {
        for text in text.lines() {
            line(&format!("# {text}"));
        }
    }

    /// Lines of a subtest; `passed` is its result.
    pub fn subtest(&mut self, name: &str, lines: &[String], passed: bool) {
        for text in lines {
            line(&format!("    {text}"));
        }
        self.points += 1;
        let result = if passed { "ok" } else { "not ok" };
        line(&format!("{result} {} {name}", self.points));
    }

    /// Ends the report with its plan.
    pub fn end(self) {
        line(&format!("1..{}", self.points));
    }
}

/// Ends everything: nothing comes after this on the port. The host looks at the device before it
/// answers, so the machine must not be off by then.
pub fn end() {
    if let Err(error) = request("end") {
        eprintln!("guest: {error:#}");
    }
}
