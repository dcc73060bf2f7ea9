// SPDX-License-Identifier: GPL-2.0
//! The parts of the QEMU Machine Protocol used here: commands, events, properties.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// An asynchronous event sent by QEMU.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Time of the event in microseconds since 1970, according to QEMU's clock.
    pub at: u64,
    /// Name of the event in QEMU's schema.
    pub name: String,
    /// Data of the event.
    pub data: Value,
}

impl Event {
    fn parse(message: &Value) -> Option<Self> {
        let time = |unit: &str| message["timestamp"][unit].as_u64();
        Some(Self {
            at: time("seconds")? * 1_000_000 + time("microseconds")?,
            name: message["event"].as_str()?.to_string(),
            data: message["data"].clone(),
        })
    }
}

/// A connection in command mode.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    events: Vec<Event>,
}

impl Qmp {
    /// Reads the greeting and leaves negotiation mode.
    pub fn connect(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        let mut qmp = Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            events: Vec::new(),
        };
        qmp.receive().context("no greeting from QEMU")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed the QMP connection");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Runs a command and returns its result; keeps events received meanwhile.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        // In a single write: `quit` takes effect at its last brace, and nothing reads the bytes
        // after it.
        self.writer.write_all(format!("{request}\n").as_bytes())?;
        loop {
            let answer = self.receive()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QMP {command}: {}", error["desc"].as_str().unwrap_or("?"));
            }
            self.events.extend(Event::parse(&answer));
        }
    }

    /// Returns the events received since the last call, up to the last command.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Returns a property of the device created with `id=`.
    pub fn get(&mut self, id: &str, property: &str) -> Result<Value> {
        self.execute(
            "qom-get",
            json!({ "path": format!("/machine/peripheral/{id}"), "property": property }),
        )
    }

    /// Sets a property of the device created with `id=`.
    pub fn set(&mut self, id: &str, property: &str, value: Value) -> Result<()> {
        let path = format!("/machine/peripheral/{id}");
        self.execute(
            "qom-set",
            json!({ "path": path, "property": property, "value": value }),
        )
        .map(drop)
    }

    /// Connects or disconnects the cable of the network card created with `id=`.
    pub fn set_link(&mut self, id: &str, up: bool) -> Result<()> {
        self.execute("set_link", json!({ "name": id, "up": up }))
            .map(drop)
    }

    /// Makes the device created with `id=` report a bus error, which is given by QEMU's name. There
    /// is only a human monitor command for this.
    pub fn inject_error(&mut self, id: &str, name: &str) -> Result<()> {
        let line = format!("pcie_aer_inject_error {id} {name}");
        let answer = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        let text = answer.as_str().unwrap_or_default();
        if text.starts_with("OK ") {
            return Ok(());
        }
        bail!("{line}: {}", text.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_before_an_answer_are_kept() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut script = theirs.try_clone().unwrap();
        script
            .write_all(
                b"{\"QMP\":{}}\n{\"return\":{}}\n\
                  {\"event\":\"STOP\",\"timestamp\":{\"seconds\":2,\"microseconds\":7}}\n\
                  {\"return\":{\"status\":\"paused\"}}\n",
            )
            .unwrap();
        let mut qmp = Qmp::connect(ours).unwrap();
        let status = qmp.execute("query-status", json!({})).unwrap();
        assert_eq!(status["status"], "paused");
        let events = qmp.take_events();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].at, events[0].name.as_str()), (2_000_007, "STOP"));
        assert!(qmp.take_events().is_empty());
    }

    #[test]
    fn a_refused_command_says_why() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut script = theirs.try_clone().unwrap();
        script
            .write_all(b"{\"QMP\":{}}\n{\"return\":{}}\n{\"error\":{\"desc\":\"no such\"}}\n")
            .unwrap();
        let mut qmp = Qmp::connect(ours).unwrap();
        let error = qmp.execute("quit", json!({})).unwrap_err();
        assert_eq!(error.to_string(), "QMP quit: no such");
    }
}
