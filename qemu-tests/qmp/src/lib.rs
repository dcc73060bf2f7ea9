// SPDX-License-Identifier: GPL-2.0
//! As much of the QEMU Machine Protocol as the tests use: properties and quit.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection in command mode.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Reads the greeting and leaves negotiation mode.
    pub fn connect(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut qmp = Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
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

    /// Runs a command and returns what it returns; events that come in between are dropped.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.writer, "{request}")?;
        loop {
            let answer = self.receive()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QMP {command}: {}", error["desc"].as_str().unwrap_or("?"));
            }
        }
    }

    /// A property of the device created with `id=`.
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
}
