// SPDX-License-Identifier: GPL-2.0

//! A second emulated host, and the network to it: the hosts' programs pass each other words, one
//! JSON value a line, by which each knows how far the other one is, or that it has failed.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use control::{Report, show};
use linux::timeouts::{Deadline, slowness};
use protocol::HostName;
use rustix::time::{ClockId, Timespec, clock_settime};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

const INTERFACE: &str = "eth0";
/// Of QEMU's network card.
const CARD: &str = "nic";
/// Reserved for documentation, so not in use.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const WORDS: u16 = 4000;
const MIGRATION: u16 = 4001;
/// Both hosts are started at the same time; one may have more to do until it is here.
const MEETING: Duration = Duration::from_secs(600);
/// The clocks begin at 0, and none can be set to a time before its machine was started.
const LATER: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_millis(50);
/// For a word that is on its way.
const SOON: Duration = Duration::from_secs(1);

/// A message between the two programs.
#[derive(Serialize, Deserialize)]
enum Word<T> {
    /// A message of the scenario.
    Says(T),
    /// The scenario ends for this reason.
    Fails(String),
}

/// The connection to the other host's program.
pub(crate) struct OtherHost {
    is_first: bool,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    /// Whether the other host has said that it has failed.
    has_failed: bool,
}

impl OtherHost {
    /// Gets the network going and waits for the other host, `host=a` or `host=b`. Sets the clock.
    pub(crate) fn meet(host: HostName) -> Result<Self> {
        let is_first = host == HostName::A;
        let [here, there] = addresses(is_first);
        ip(&["addr", "add", &format!("{here}/24"), "dev", INTERFACE])?;
        ip(&["link", "set", INTERFACE, "up"])?;
        let stream = if is_first {
            accept(&TcpListener::bind(SocketAddrV4::new(here, WORDS))?)
        } else {
            connect(SocketAddrV4::new(there, WORDS))
        };
        let stream = stream.context("the other host is not there")?;
        stream.set_nodelay(true)?;
        let mut other = OtherHost {
            is_first,
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            has_failed: false,
        };
        other.agree_on_time()?;
        Ok(other)
    }

    fn agree_on_time(&mut self) -> Result<()> {
        let time = if self.is_first {
            let time = SystemTime::now().duration_since(UNIX_EPOCH)? + LATER;
            self.say(&time)?;
            time
        } else {
            self.hear(MEETING)?
        };
        let time = Timespec::try_from(time).context("no time that a clock can show")?;
        clock_settime(ClockId::Realtime, time).context("cannot set the clock")
    }

    /// Whether this is the first host, `host=a`.
    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }

    /// Where QEMU listens on this host, as a URI of a migration.
    pub(crate) fn here(&self) -> String {
        uri(addresses(self.is_first)[0])
    }

    /// Where QEMU listens on the other host.
    pub(crate) fn there(&self) -> String {
        uri(addresses(self.is_first)[1])
    }

    fn send<T: Serialize>(&mut self, word: &Word<T>) -> Result<()> {
        let line = serde_json::to_string(word)? + "\n";
        let said = self.writer.write_all(line.as_bytes());
        said.context("the other host does not listen")
    }

    /// Sends something to the other host.
    pub(crate) fn say(&mut self, word: &impl Serialize) -> Result<()> {
        self.send(&Word::Says(word))
    }

    /// Waits for a word of the other host. It fails at once if the other host has failed.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T> {
        let limit = within * slowness();
        self.reader.get_ref().set_read_timeout(Some(limit))?;
        let mut line = String::new();
        let heard = self.reader.read_line(&mut line);
        let word = match heard.with_context(|| format!("no word in {limit:?}"))? {
            0 => Word::Fails("it is gone without a word".to_owned()),
            _ => serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))?,
        };
        match word {
            Word::Says(word) => Ok(word),
            Word::Fails(reason) => {
                self.has_failed = true;
                control::peer_failed();
                bail!("the other host has failed: {reason}")
            }
        }
    }

    /// The scenario ends here, for this reason: tells the other host, which may wait for a word,
    /// unless that has failed before.
    pub(crate) fn fail(&mut self, reason: &str) {
        // What it says besides does not matter any more.
        while !self.has_failed && self.hear::<IgnoredAny>(SOON).is_ok() {}
        if !self.has_failed {
            // If that fails, the runner reports it.
            let _ = self.send(&Word::<()>::Fails(reason.to_owned()));
        }
    }
}

/// Does this host's part of something as a test point. If it fails, the scenario ends on both hosts:
/// neither knows how far the other one is.
pub(crate) fn part<H: AsMut<OtherHost>>(
    host: &mut H,
    report: &mut Report,
    name: &str,
    act: impl FnOnce(&mut H) -> Result<()>,
) -> Result<()> {
    show(name);
    let done = report.point(name, || {
        let result = act(host);
        result.inspect_err(|error| host.as_mut().fail(&format!("{name}: {error:#}")))
    });
    ensure!(done, "the hosts cannot go on after that");
    Ok(())
}

/// Plugs this host's network cable in or pulls it.
pub(crate) fn plug(in_: bool) -> Result<()> {
    control::set_link(CARD, in_)
}

/// Of this host, and of the other.
fn addresses(is_first: bool) -> [Ipv4Addr; 2] {
    let [first, second] = ADDRESSES;
    if is_first {
        [first, second]
    } else {
        [second, first]
    }
}

fn uri(address: Ipv4Addr) -> String {
    format!("tcp:{address}:{MIGRATION}")
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("/bin/busybox")
        .arg("ip")
        .args(arguments)
        .output()
        .context("cannot start /bin/busybox")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ip {}: {said}",
        arguments.join(" ")
    );
    Ok(())
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Deadline::after(MEETING);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) if deadline.is_over() => bail!("not within {:?}", deadline.limit),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn connect(to: SocketAddrV4) -> Result<TcpStream> {
    let deadline = Deadline::after(MEETING);
    loop {
        // A word that gets no answer is repeated by TCP after longer and longer pauses.
        match TcpStream::connect_timeout(&to.into(), Duration::from_secs(1)) {
            Ok(stream) => return Ok(stream),
            Err(error) if deadline.is_over() => return Err(error.into()),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
