// SPDX-License-Identifier: GPL-2.0

//! Init's end of the control channel, whose lines are those of [`protocol::channel`]: results, and
//! requests to the emulated devices.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use protocol::channel::{Answer, Line, Order, Request};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;

const PORT: &str = "/dev/ttyAMA1";

/// The first line of a [`Report`], and thus of a machine.
pub const KTAP_VERSION: &str = "KTAP version 1";

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

/// Waits for the next order. Only a guest of the emulated host gets orders.
///
/// No request may be sent while a thread waits here: the answer could come to the wrong one.
pub fn await_order() -> Result<Order> {
    let mut line = String::new();
    BufReader::new(File::open(PORT)?).read_line(&mut line)?;
    Ok(line.trim_end().parse()?)
}

/// Returns `line` as it is sent.
fn bytes(line: &Line) -> Vec<u8> {
    let mut text = line.to_string().replace('\n', " ");
    text.push('\n');
    text.into_bytes()
}

/// Sends one line. A lost line shows on the host as a missing one, hence no error here.
pub fn send(line: &Line) {
    if let Some(mut port) = port() {
        let _ = port.writer.write_all(&bytes(line));
    }
}

/// Sends text for the terminal, none, one or several lines.
pub fn show(text: impl AsRef<str>) {
    for line in text.as_ref().lines() {
        send(&Line::Show(line.to_owned()));
    }
}

/// Sends a result for the test to compare.
pub fn dump(text: impl Into<String>) {
    send(&Line::Dump(text.into()));
}

/// Sends a diagnostic of the results, one line or several.
pub fn note(text: impl AsRef<str>) {
    for line in text.as_ref().lines() {
        ktap(format!("# {line}"));
    }
}

/// Ends the results with an error.
pub fn bail_out(reason: impl Display) {
    ktap(format!("Bail out! {reason}"));
}

/// Reports to the runner that the scenario fails because the one on the other host has failed.
pub fn peer_failed() {
    send(&Line::PeerFailed);
}

/// Reports to the runner what the scenario begins now: the runner names it if the scenario gets no
/// further.
pub fn doing(what: impl Into<String>) {
    send(&Line::Doing(what.into()));
}

/// Ends everything with an error, from a panic, when any lock may be held.
pub fn last_words(reason: impl Display) {
    if let Ok(mut port) = OpenOptions::new().write(true).open(PORT) {
        let _ = port.write_all(&bytes(&Line::Ktap(format!("Bail out! {reason}"))));
        let _ = port.write_all(&bytes(&Line::Request(Request::End)));
    }
}

fn ktap(line: String) {
    send(&Line::Ktap(line));
}

fn request(request: Request) -> Result<Value> {
    let mut port = port().context("the control port is not open")?;
    let line = Line::Request(request);
    port.writer.write_all(&bytes(&line))?;
    answer(&mut port, &line)
}

/// The answer to the next request that has none yet.
fn answer(port: &mut Port, request: &Line) -> Result<Value> {
    let mut line = String::new();
    port.reader.read_line(&mut line)?;
    let Answer(answer) = line
        .trim_end()
        .parse()
        .with_context(|| format!("the answer to `{request}`"))?;
    answer.map_err(|reason| anyhow!("the host refused `{request}`: {reason}"))
}

/// An emulated accelerator, by its id on the machine.
#[derive(Clone, Copy)]
pub struct EmulatedDevice(pub &'static str);

/// The ZIP accelerator that every machine has.
pub const ZIP0: EmulatedDevice = EmulatedDevice("zip0");

impl EmulatedDevice {
    /// Reads a property, as QEMU returns it.
    fn raw(self, property: &str) -> Result<Value> {
        request(Request::Get {
            device: self.0.to_owned(),
            property: property.to_owned(),
        })
    }

    /// Reads a property; one that holds JSON as a string is unwrapped.
    pub fn get(self, property: &str) -> Result<Value> {
        match self.raw(property)? {
            Value::String(text) => serde_json::from_str(&text)
                .with_context(|| format!("property {property} is no JSON: {text:?}")),
            value => Ok(value),
        }
    }

    /// Writes a property.
    pub fn set(self, property: &str, value: impl Into<Value>) -> Result<()> {
        request(Self::set_request(self.0, property, value.into())).map(drop)
    }

    fn set_request(id: &str, property: &str, value: Value) -> Request {
        Request::Set {
            device: id.to_owned(),
            property: property.to_owned(),
            value,
        }
    }

    /// Sets the engine's latency.
    pub fn set_latency(self, latency: Duration) -> Result<()> {
        self.set("latency-ns", latency.as_nanos() as u64)
    }

    /// Makes the PF report an error on the bus, by QEMU's name for it.
    pub fn bus_error(self, name: &str) -> Result<()> {
        request(Request::BusError {
            device: self.0.to_owned(),
            name: name.to_owned(),
        })
        .map(drop)
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

    /// The pages of 4 KiB that a function of the device has written since it was reset last, by
    /// their numbers. The PF is function 0.
    pub fn written_pages(self, function: usize) -> Result<BTreeSet<u64>> {
        let mut functions = self.get("written-pages")?;
        let runs = functions[format!("fn{function}")].take();
        let runs: Vec<[u64; 2]> = serde_json::from_value(runs)
            .with_context(|| format!("written-pages has no runs of function {function}"))?;
        let pages = runs.iter().flat_map(|[first, count]| *first..first + count);
        Ok(pages.collect())
    }

    /// The last violations in words.
    fn violation_log(self) -> Result<String> {
        let value = self.raw("violation-log")?;
        let text = value.as_str().context("violation-log is no text")?;
        Ok(text.to_owned())
    }

    /// Reports what the device counted as violations. If it is to be `clean`, there must be none;
    /// of the C migration driver, which touches what it must not, the counts are only reported.
    pub fn report_violations(self, report: &mut Report, clean: bool) {
        report.point(&format!("violations of {}", self.0), || {
            let found = self.violations()?;
            for (kind, count) in &found {
                note(format!("violation {kind} {count}"));
            }
            if !found.is_empty() {
                note(self.violation_log()?);
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
    let requests: Vec<Line> = ids
        .iter()
        .map(|id| EmulatedDevice::set_request(id, property, value.clone()))
        .map(Line::Request)
        .collect();
    let lines: Vec<u8> = requests.iter().flat_map(bytes).collect();
    let mut port = port().context("the control port is not open")?;
    port.writer.write_all(&lines)?;
    // All are there before one of them fails this.
    let answers: Vec<_> = requests
        .iter()
        .map(|request| answer(&mut port, request))
        .collect();
    answers.into_iter().try_for_each(|answer| answer.map(drop))
}

/// Plugs the cable of the network card `id` in or pulls it.
pub fn set_link(id: &str, up: bool) -> Result<()> {
    let card = id.to_owned();
    request(Request::Link { card, up }).map(drop)
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
        ktap(KTAP_VERSION.to_owned());
        Report { points: 0 }
    }

    /// Runs one test point. Any error makes it `not ok` and is reported in full.
    pub fn point(&mut self, name: &str, test: impl FnOnce() -> Result<()>) -> bool {
        let result = test();
        self.points += 1;
        match &result {
            Ok(()) => ktap(format!("ok {} {name}", self.points)),
            Err(error) => {
                note(format!("{error:#}"));
                ktap(format!("not ok {} {name}", self.points));
            }
        }
        result.is_ok()
    }

    /// Reports a point that cannot run here.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.points += 1;
        ktap(format!("ok {} {name} # SKIP {reason}", self.points));
    }

    /// Lines of a subtest; `passed` is its result.
    pub fn subtest(&mut self, name: &str, lines: &[String], passed: bool) {
        for text in lines {
            ktap(format!("    {text}"));
        }
        self.points += 1;
        let result = if passed { "ok" } else { "not ok" };
        ktap(format!("{result} {} {name}", self.points));
    }

    /// Ends the report with its plan.
    pub fn end(self) {
        ktap(format!("1..{}", self.points));
    }
}

/// Ends everything: nothing comes after this on the port. The host looks at the device before it
/// answers, so the machine must not be off by then.
pub fn end() {
    if let Err(error) = request(Request::End) {
        eprintln!("guest: {error:#}");
    }
}
