// SPDX-License-Identifier: GPL-2.0
//! One machine, one scenario.
//!
//! The machine has two serial ports. The first is the kernel's console and goes to a
//! file. The second is the control channel: the guest program sends lines of
//!
//! - KTAP, the results;
//! - `@show <text>`, for the person who watches;
//! - `@guest <text>`, the kernel log of a guest of the machine;
//! - `@dump <text>`, for the test to compare;
//! - `@consequence`, for a scenario that fails because the one on another machine has failed;
//! - `@host get <device> <property>`, `@host set <device> <property> <json>`,
//!   `@host error <device> <name>` for an error on the bus, `@host link <card> <up>` for
//!   a network cable, and `@host end`, each answered by one line `ok <json>` or
//!   `err <text>`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qmp::Qmp;
use serde_json::Value;

use crate::artifacts::{Artifacts, Suite};
use crate::ktap::Report;
use crate::modules;
use crate::splat;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    /// What the logs are named by; the scenario and its parameters.
    label: String,
    parameters: Vec<String>,
    /// Id, and what comes after `-device`.
    accelerators: Vec<(&'static str, String)>,
    /// What comes after `-device`.
    functions: Vec<String>,
    /// What comes after `-netdev`.
    network: Option<String>,
    /// A module that takes the place of ours of its name.
    module: Option<PathBuf>,
    /// As QEMU takes it, if it is not what the machine needs in any case.
    memory: Option<&'static str>,
    /// Whether the machine's time is counted in instructions.
    counted: bool,
    /// Whose QEMU it has, if it can have guests of its own.
    monitor: Option<Suite>,
    deadline: Duration,
}

/// How long after another machine has failed this one may still say something: its program may know
/// of it, and more of the cause.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What a machine that runs has to react to.
#[derive(Debug)]
pub(crate) enum Input {
    /// The guest program says something.
    Line(String),
    /// The guest program is gone.
    Closed,
    /// Another machine, without which this one is of no use, has failed, by name and with what.
    OtherFailed(String),
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// The results.
    pub report: Report,
    /// The lines sent by `@dump`.
    pub dump: Vec<String>,
    /// Per accelerator, the model's counts of violations by kind at the end.
    pub violations: Vec<(String, Value)>,
    /// Whether the guest came to its `@host end`.
    pub ended: bool,
    /// Whether it failed because another machine did.
    pub is_consequence: bool,
    /// The kernel's log.
    pub console: PathBuf,
    /// The control channel's lines.
    pub control: PathBuf,
    /// The kernel log of the machine's guest, if it can have one.
    pub guest_console: Option<PathBuf>,
}

impl Scenario {
    /// The scenario the guest program knows by this name, on a machine with one ZIP accelerator
    /// of hardware V3.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            label: name.into(),
            parameters: Vec::new(),
            accelerators: vec![("zip0", "hisi-zip".into())],
            functions: Vec::new(),
            network: None,
            module: None,
            memory: None,
            counted: false,
            monitor: None,
            deadline: Duration::from_secs(240),
        }
    }

    /// A parameter for the guest program, by way of the kernel's command line.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.parameters.push(format!("{key}={value}"));
        // No commas: QEMU takes them for the end of a file's name.
        self.label = format!("{}-{}", self.label, value.replace(',', "+"));
        self
    }

    /// One more accelerator: its id, and what comes after `-device`.
    pub fn accelerator(mut self, id: &'static str, device: &str) -> Self {
        self.accelerators.push((id, device.into()));
        self
    }

    /// One accelerator of each engine: `zip0`, `sec0` and `hpre0`.
    pub fn all_engines(self) -> Self {
        self.accelerator("sec0", "hisi-sec")
            .accelerator("hpre0", "hisi-hpre")
    }

    /// The engines that the scenario is about, with commas between them: `zip`, `sec`, `hpre`. The
    /// machine has them.
    pub fn engines(self, names: &str) -> Self {
        let more = [("sec", "sec0", "hisi-sec"), ("hpre", "hpre0", "hisi-hpre")];
        more.into_iter()
            .filter(|(name, ..)| names.split(',').any(|wanted| wanted == *name))
            .fold(self.with("engines", names), |scenario, (_, id, device)| {
                scenario.accelerator(id, device)
            })
    }

    /// A PCI function that is no accelerator: what comes after `-device`.
    pub fn function(mut self, device: &str) -> Self {
        self.functions.push(device.into());
        self
    }

    /// A network card, `nic`, with a cable to another machine: the network's end, as it comes after
    /// `-netdev` but for the id, and the card's address.
    pub fn network(mut self, end: &str, mac: &str) -> Self {
        self.network = Some(format!("{end},id=cable"));
        // Frames as long as between real hosts, and no firmware to boot from.
        self.function(&format!(
            "virtio-net-pci,id=nic,netdev=cable,mac={mac},host_mtu=9000,romfile="
        ))
    }

    /// A property of the accelerators so far.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        for (_, device) in &mut self.accelerators {
            *device = format!("{device},{name}={value}");
        }
        self
    }

    /// The accelerators' PCI revision: 0x21 is hardware V2, 0x30 V3, 0x50 V4, 0x51 V5.
    pub fn revision(mut self, revision: u8) -> Self {
        self.label = format!("{}-rev{revision:x}", self.label);
        self.property("revision", &revision.to_string())
    }

    /// A module of ours is this one, with the same name.
    pub fn module(mut self, module: &Path) -> Self {
        self.module = Some(module.to_owned());
        self
    }

    /// How much memory the machine has, as QEMU takes it.
    pub fn memory(mut self, size: &'static str) -> Self {
        self.memory = Some(size);
        self
    }

    /// The machine's time is a nanosecond for each instruction, and what it waits for comes at once:
    /// times measured in it do not depend on this machine. One CPU, and slower.
    pub fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// The machine has EL2, for KVM, and all that guests need: a VM monitor and what they boot.
    pub fn hypervisor(self) -> Self {
        self.monitor(Suite::Trixie)
    }

    /// As [`Self::hypervisor`], with the VM monitor of that suite of Debian.
    pub fn monitor(mut self, suite: Suite) -> Self {
        if suite != Suite::Trixie {
            self.label = format!("{}-{suite}", self.label);
        }
        self.monitor = Some(suite);
        self
    }

    /// How long the machine may take with the normal kernel, in seconds (240 if not said).
    pub fn within(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    fn qemu(&self, artifacts: &Artifacts, sockets: &Path, console: &str) -> Command {
        let mut command = Command::new(&artifacts.qemu);
        command
            .arg("-M")
            .arg(format!(
                "virt,gic-version=3,iommu=smmuv3,its=on,virtualization={}",
                if self.monitor.is_some() { "on" } else { "off" }
            ))
            .arg("-cpu")
            // A counter that counts each nanosecond, where each is an instruction.
            .arg(if self.counted {
                "cortex-a76,cntfrq=1000000000"
            } else {
                "cortex-a76"
            })
            .arg("-m")
            .arg(match self.memory {
                Some(size) => size,
                None if self.monitor.is_some() => "3G",
                None if artifacts.debug => "2G",
                None => "1G",
            })
            .args(if self.counted {
                ["-smp", "1", "-icount", "shift=0,sleep=off"]
            } else {
                ["-smp", "2", "-accel", "tcg,thread=multi,tb-size=128"]
            })
            .args(["-nodefaults", "-nographic", "-no-reboot"])
            .args(["-serial", console])
            .args(["-serial", "chardev:control"])
            .arg("-chardev")
            .arg(format!(
                "socket,id=control,path={}/control",
                sockets.display()
            ))
            .arg("-chardev")
            .arg(format!("socket,id=qmp,path={}/qmp", sockets.display()))
            .args(["-mon", "chardev=qmp,mode=control"])
            .arg("-kernel")
            .arg(&artifacts.image)
            .arg("-initrd")
            .arg(match self.monitor {
                Some(suite) => artifacts.initrd_vmm(suite),
                None => &artifacts.initrd,
            })
            .arg("-append")
            .arg(format!(
                "console=ttyAMA0 panic=-1 slowness={} scenario={} {}",
                artifacts.slowness(),
                self.name,
                self.parameters.join(" ")
            ));
        if let Some(network) = &self.network {
            command.args(["-netdev", network]);
        }
        let accelerators = self
            .accelerators
            .iter()
            .map(|(id, device)| format!("{device},id={id}"));
        for (n, device) in accelerators.chain(self.functions.clone()).enumerate() {
            command
                .arg("-device")
                .arg(format!(
                    "pcie-root-port,id=port{n},bus=pcie.0,chassis={}",
                    n + 1
                ))
                .arg("-device")
                .arg(format!("{device},bus=port{n}"));
        }
        command
    }

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
        let console = artifacts.logs.join(format!("{}.console.log", self.label));
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
        let console = artifacts.logs.join(format!("{}.console.log", self.label));
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
        let control_log = artifacts.logs.join(format!("{}.control.log", self.label));
        let sockets = tempfile::tempdir()?;
        let control = UnixListener::bind(sockets.path().join("control"))?;
        let qmp = UnixListener::bind(sockets.path().join("qmp"))?;
        let stderr_path = artifacts.logs.join(format!("{}.qemu.log", self.label));
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
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", artifacts.qemu.display()))?;
        let mut running = Running(child);

        let control = running.accept(&control, &stderr_path)?;
        let qmp = Qmp::connect(running.accept(&qmp, &stderr_path)?)?;
        let limit = self.deadline * artifacts.slowness();
        let mut deadline = (!interactive).then(|| Instant::now() + limit);
        let mut other_failed = None;

        let guest_console = self
            .monitor
            .map(|_| artifacts.logs.join(format!("{}.guest.log", self.label)));
        let mut session = Session {
            accelerators: self.accelerators.iter().map(|(id, _)| *id).collect(),
            writer: control.try_clone()?,
            qmp,
            log: File::create(&control_log)?,
            guest_log: guest_console.as_ref().map(File::create).transpose()?,
            outcome: Outcome {
                report: Report::default(),
                dump: Vec::new(),
                violations: Vec::new(),
                ended: false,
                is_consequence: false,
                console,
                control: control_log,
                guest_console,
            },
            show,
        };
        read_lines(control, sender);
        loop {
            let input = match deadline {
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
                        session.outcome.is_consequence = true;
                        session.outcome.report.line(&format!("Bail out! {how}"));
                        return Ok(session.outcome);
                    }
                    None => bail!(
                        "{}: not done after {limit:?}; the end of {}:\n{}",
                        self.label,
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

struct Session<S> {
    accelerators: Vec<&'static str>,
    writer: UnixStream,
    qmp: Qmp,
    log: File,
    guest_log: Option<File>,
    outcome: Outcome,
    show: S,
}

impl<S: FnMut(&str)> Session<S> {
    fn line(&mut self, line: &str) -> Result<()> {
        if let (Some(text), Some(log)) = (line.strip_prefix("@guest "), &mut self.guest_log) {
            return Ok(writeln!(log, "{text}")?);
        }
        writeln!(self.log, "{line}")?;
        if let Some(text) = line.strip_prefix("@show") {
            (self.show)(text.strip_prefix(' ').unwrap_or(text));
        } else if let Some(text) = line.strip_prefix("@dump") {
            let text = text.strip_prefix(' ').unwrap_or(text);
            self.outcome.dump.push(text.to_string());
        } else if line == "@consequence" {
            self.outcome.is_consequence = true;
        } else if let Some(request) = line.strip_prefix("@host ") {
            let answer = match self.request(request) {
                Ok(value) => format!("ok {value}"),
                Err(e) => format!("err {}", format!("{e:#}").replace('\n', " ")),
            };
            writeln!(self.log, "@answer {answer}")?;
            // The guest may be gone by the time the last answer is sent.
            let _ = writeln!(self.writer, "{answer}");
        } else {
            self.outcome.report.line(line);
        }
        Ok(())
    }

    fn request(&mut self, request: &str) -> Result<Value> {
        let mut words = request.splitn(4, ' ');
        let mut word = || words.next().context("incomplete request");
        match word()? {
            "get" => {
                let (id, property) = (word()?, word()?);
                self.qmp.get(id, property)
            }
            "set" => {
                let (id, property, value) = (word()?, word()?, word()?);
                self.qmp.set(id, property, serde_json::from_str(value)?)?;
                Ok(Value::Null)
            }
            "error" => {
                let (id, name) = (word()?, word()?);
                self.qmp.inject_error(id, name)?;
                Ok(Value::Null)
            }
            "link" => {
                let (id, up) = (word()?, word()?);
                self.qmp.set_link(id, up.parse()?)?;
                Ok(Value::Null)
            }
            "end" => {
                self.outcome.ended = true;
                for id in &self.accelerators {
                    let text = self.qmp.get(id, "violations")?;
                    let counts = serde_json::from_str(text.as_str().unwrap_or_default())
                        .with_context(|| format!("violations of {id}: {text}"))?;
                    self.outcome.violations.push((id.to_string(), counts));
                }
                Ok(Value::Null)
            }
            other => bail!("unknown request `{other}`"),
        }
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
        // Nobody needs it when the test has ended before.
        let _ = sender.send(Input::Closed);
    });
}

fn read_log(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("no kernel log {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a file.
fn tail(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

impl Outcome {
    /// The kernel's log.
    pub fn kernel_log(&self) -> Result<String> {
        read_log(&self.console)
    }

    /// All that is wrong, whatever the scenario: failed results, an early end, a splat.
    pub fn problems(&self) -> Result<Vec<String>> {
        let mut problems = self.report.problems();
        if !self.ended {
            problems.push("the machine stopped before its scenario ended".into());
        }
        for console in std::iter::once(&self.console).chain(&self.guest_console) {
            for (line, text) in splat::find(&read_log(console)?) {
                problems.push(format!("{}:{line}: {text}", console.display()));
            }
        }
        Ok(problems)
    }

    /// Violations the model counted, as `device kind count`.
    pub fn violated(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, counts) in &self.violations {
            for (kind, count) in counts.as_object().into_iter().flatten() {
                if count.as_u64() != Some(0) {
                    found.push(format!("{id} {kind} {count}"));
                }
            }
        }
        found
    }

    /// Fails the test with everything one needs to look further.
    pub fn expect_passed(&self) -> Result<()> {
        let problems = self.problems()?;
        if !problems.is_empty() {
            bail!(
                "{}\nkernel log: {}\ncontrol channel: {}\nthe kernel log's end:\n{}",
                problems.join("\n"),
                self.console.display(),
                self.control.display(),
                tail(&self.console, 12)
            );
        }
        Ok(())
    }

    /// As [`Self::expect_passed`], and the model saw nothing a driver must not do.
    pub fn expect_clean(&self) -> Result<()> {
        self.expect_passed()?;
        if self.violations.is_empty() {
            bail!("the model was not asked for its violations");
        }
        let violated = self.violated();
        if !violated.is_empty() {
            bail!("violations: {}", violated.join(", "));
        }
        Ok(())
    }
}
