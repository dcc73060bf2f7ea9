// SPDX-License-Identifier: GPL-2.0

//! One machine, one scenario.
//!
//! The machine has two serial ports. The first is the kernel's console and goes to a
//! file. The second is the control channel, see [`protocol::channel`].

mod description;
mod outcome;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use protocol::channel::{Answer, Line, Request};
use qmp::Qmp;
use serde_json::Value;

use crate::artifacts::Artifacts;
use crate::ktap::Report;
use crate::modules;
use outcome::tail;

pub use description::Machine;
pub use outcome::Outcome;

/// How long after another machine has failed this one may still say something: its program may know
/// of it, and more of the cause.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// An event that a running machine has to handle.
#[derive(Debug)]
pub(crate) enum Input {
    /// Init sends a line.
    Line(String),
    /// The control channel is closed.
    Closed,
    /// Another machine, without which this one is of no use, has failed, by name and with what.
    OtherFailed(String),
}

impl Machine {
    /// Boots, lets the scenario run and waits for its end.
    ///
    /// `show` gets the lines meant for a person. Errors are those of the surroundings:
    /// QEMU that does not start, a machine that does not end in time.
    pub fn run(&self, artifacts: &Artifacts, show: impl FnMut(&str)) -> Result<Outcome> {
        self.run_with(artifacts, mpsc::channel(), show)
    }

    /// As [`Self::run`], with a channel of the caller's for all that comes in.
    pub(crate) fn run_with(
        &self,
        artifacts: &Artifacts,
        channel: (Sender<Input>, Receiver<Input>),
        show: impl FnMut(&str),
    ) -> Result<Outcome> {
        let console = artifacts.logs.join(format!("{}.console.log", self.label()));
        let _ = std::fs::remove_file(&console);
        self.run_on(
            artifacts,
            &format!("file:{}", console.display()),
            console,
            channel,
            show,
        )
    }

    /// Boots with the console on this terminal.
    pub fn run_interactive(&self, artifacts: &Artifacts) -> Result<Outcome> {
        let console = artifacts.logs.join(format!("{}.console.log", self.label()));
        File::create(&console)?;
        self.run_on(artifacts, "mon:stdio", console, mpsc::channel(), |line| {
            println!("{line}")
        })
    }

    fn run_on(
        &self,
        artifacts: &Artifacts,
        console_chardev: &str,
        console: PathBuf,
        (sender, inputs): (Sender<Input>, Receiver<Input>),
        show: impl FnMut(&str),
    ) -> Result<Outcome> {
        let interactive = console_chardev == "mon:stdio";
        let control_log = artifacts.logs.join(format!("{}.control.log", self.label()));
        let sockets = tempfile::tempdir()?;
        let control = UnixListener::bind(sockets.path().join("control"))?;
        let qmp = UnixListener::bind(sockets.path().join("qmp"))?;
        let stderr_path = artifacts.logs.join(format!("{}.qemu.log", self.label()));
        let mut artifacts = artifacts.clone();
        if let Some(module) = &self.module {
            let initrd = sockets.path().join("initrd.cpio");
            modules::replace(&artifacts, module, &initrd)?;
            artifacts.initrd = initrd;
        }
        let mut command = self.qemu(&artifacts, sockets.path(), console_chardev);
        if !interactive {
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(File::create(&stderr_path)?);
        }
        // QEMU does nothing about the end of its input.
        let from_file = interactive && !std::io::stdin().is_terminal();
        if from_file {
            command.stdin(Stdio::piped());
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", artifacts.qemu.display()))?;
        let mut running = Running(child);
        let typing = running.0.stdin.take().map(Typing::new);

        let control = running.accept(&control, &stderr_path)?;
        let qmp = Qmp::connect(running.accept(&qmp, &stderr_path)?)?;
        let limit = self.deadline * artifacts.slowness();
        let mut deadline = (!interactive).then(|| Instant::now() + limit);
        let patience = self
            .patience
            .map(|patience| patience * artifacts.slowness());
        let mut other_failed = None;

        let guest_console = self
            .monitor
            .map(|_| artifacts.logs.join(format!("{}.guest.log", self.label())));
        let mut session = Session {
            accelerators: self.accelerators.iter().map(|(id, _)| *id).collect(),
            writer: control.try_clone()?,
            qmp,
            log: File::create(&control_log)?,
            doing: None,
            typing,
            guest_log: guest_console.as_ref().map(File::create).transpose()?,
            outcome: Outcome {
                report: Report::default(),
                dump: Vec::new(),
                violations: Vec::new(),
                ended: false,
                peer_failed: false,
                console,
                control: control_log,
                guest_console,
            },
            show,
        };
        read_lines(control, sender);
        loop {
            let begun = session.doing.as_ref().map(|(_, begun)| *begun);
            let stalled = begun
                .zip(patience)
                .map(|(begun, patience)| begun + patience);
            let input = match deadline.into_iter().chain(stalled).min() {
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inputs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match input {
                Ok(Input::Line(line)) => session.line(&line)?,
                Ok(Input::Closed) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Input::OtherFailed(how)) => {
                    let end = Instant::now() + LAST_WORDS * artifacts.slowness();
                    deadline = Some(deadline.map_or(end, |at| at.min(end)));
                    other_failed = Some(how);
                }
                Err(RecvTimeoutError::Timeout) => match other_failed {
                    Some(how) => {
                        session.outcome.peer_failed = true;
                        session.outcome.report.line(&format!("Bail out! {how}"));
                        return Ok(session.outcome);
                    }
                    None => bail!(
                        "{}: {}; the end of {}:\n{}",
                        self.label(),
                        match (&session.doing, patience) {
                            (Some((what, begun)), Some(patience))
                                if begun.elapsed() >= patience =>
                                format!("no progress in {patience:?} since it began {what}"),
                            _ => format!("not done after {limit:?}"),
                        },
                        session.outcome.console.display(),
                        tail(&session.outcome.console, 25)
                    ),
                },
            }
        }
        running.0.wait()?;
        Ok(session.outcome)
    }
}

/// Ends QEMU when the test ends, whichever way.
struct Running(Child);

impl Running {
    /// The connection QEMU makes to this socket, unless it ended instead.
    fn accept(&mut self, listener: &UnixListener, stderr: &Path) -> Result<UnixStream> {
        listener.set_nonblocking(true)?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    if let Some(status) = self.0.try_wait()? {
                        bail!("QEMU ended at once ({status}):\n{}", tail(stderr, 10));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is read from a file or a pipe goes to the console as if somebody typed it.
struct Typing(ChildStdin);

impl Typing {
    /// The input of a machine whose console is QEMU's standard input.
    fn new(console: ChildStdin) -> Self {
        Self(console)
    }

    /// Begins, in a thread. At the end of the input it types what ends a terminal's, until the
    /// machine is gone: each program that reads gets one.
    fn start(mut self) {
        const END: [u8; 1] = [b'D' - b'@'];
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut self.0);
            while self.0.write_all(&END).and_then(|()| self.0.flush()).is_ok() {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
    }
}

struct Session<S> {
    accelerators: Vec<&'static str>,
    writer: UnixStream,
    qmp: Qmp,
    log: File,
    /// The scenario's last [`Line::Doing`], and when it came.
    doing: Option<(String, Instant)>,
    /// The console's input, if it is not a terminal and nothing has been read from it yet.
    typing: Option<Typing>,
    guest_log: Option<File>,
    outcome: Outcome,
    show: S,
}

impl<S: FnMut(&str)> Session<S> {
    fn line(&mut self, text: &str) -> Result<()> {
        let line = text.parse();
        if let (Ok(Line::GuestLog(text)), Some(log)) = (&line, &mut self.guest_log) {
            return Ok(writeln!(log, "{text}")?);
        }
        writeln!(self.log, "{text}")?;
        match line {
            Ok(Line::Show(text)) => (self.show)(&text),
            Ok(Line::Dump(text)) => self.outcome.dump.push(text),
            Ok(Line::Doing(what)) => {
                self.doing = Some((what, Instant::now()));
                if let Some(typing) = self.typing.take() {
                    typing.start();
                }
            }
            Ok(Line::PeerFailed) => self.outcome.peer_failed = true,
            Ok(Line::Request(request)) => {
                let answer = self.request(request);
                let answer = Answer(answer.map_err(|error| format!("{error:#}")));
                writeln!(self.log, "@answer {answer}")?;
                // The guest may be gone by the time the last answer is sent.
                let _ = writeln!(self.writer, "{answer}");
            }
            Ok(Line::Ktap(text)) => self.outcome.report.line(&text),
            Ok(Line::GuestLog(_) | Line::Load(_) | Line::Did(_) | Line::Failed(..)) => {
                let problem = format!("Bail out! not expected of this machine: {text}");
                self.outcome.report.line(&problem);
            }
            Err(error) => self.outcome.report.line(&format!("Bail out! {error}")),
        }
        Ok(())
    }

    fn request(&mut self, request: Request) -> Result<Value> {
        match request {
            Request::Get { device, property } => return self.qmp.get(&device, &property),
            Request::Set {
                device,
                property,
                value,
            } => self.qmp.set(&device, &property, value)?,
            Request::BusError { device, name } => self.qmp.inject_error(&device, &name)?,
            Request::Link { card, up } => self.qmp.set_link(&card, up)?,
            Request::End => {
                self.outcome.ended = true;
                for id in &self.accelerators {
                    let text = self.qmp.get(id, "violations")?;
                    let counts = serde_json::from_str(text.as_str().unwrap_or_default())
                        .with_context(|| format!("violations of {id}: {text}"))?;
                    self.outcome.violations.push((id.to_string(), counts));
                }
            }
        }
        Ok(Value::Null)
    }
}

/// Sends the lines of a stream as they come, from a thread of their own.
fn read_lines(stream: UnixStream, sender: Sender<Input>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(n) if n > 0) {
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            if sender.send(Input::Line(line)).is_err() {
                return;
            }
            bytes.clear();
        }
        // It is not needed if the test has ended before.
        let _ = sender.send(Input::Closed);
    });
}
