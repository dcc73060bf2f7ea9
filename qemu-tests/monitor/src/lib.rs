// SPDX-License-Identifier: GPL-2.0

//! A real VM monitor: Debian's QEMU with KVM, as a child process that is controlled by QMP.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod guest;
mod migration;
mod orders;
mod pages;
mod port;
mod report;
mod watch;

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use protocol::What;
use qmp::Qmp;
use serde_json::{Value, json};

pub use guest::{CONSOLE, Guest, TransferredState};
pub use migration::{
    Ended, Figures, Limits, begin, cancel, cancel_cut_off, completes, completes_by, end, fails,
    go_on, is_cancelled, listen, migrate, migrate_by, restore, save, send,
};
pub use orders::Orders;
pub use pages::{PageComparison, PageHashes};
pub use report::tell;
pub use watch::{Watch, driver_ready, failures, features, refusal, sessions, state};

use linux::sysfs::{self, Function};
use linux::timeouts::Deadline;
use port::POLL;
use report::tell_of;
use vfio_client::Kind;
use watch::tracks_dirty_pages;

const PROGRAM: &str = "/usr/bin/qemu-system-aarch64";
/// From the start of the program to its first word, and from its last one to its end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether a VM monitor has the guest or waits for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The guest is started by it.
    Boots,
    /// The guest comes to it by migration.
    Waits,
}

/// An IOMMU that the guest can program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viommu {
    /// That of Arm, which QEMU emulates.
    Smmuv3,
    /// That of virtio.
    Virtio,
}

/// How QEMU is started.
struct Start {
    role: Role,
    can_migrate: bool,
    viommu: Option<Viommu>,
}

impl Start {
    /// With a guest that boots and can migrate.
    const USUAL: Self = Start {
        role: Role::Boots,
        can_migrate: true,
        viommu: None,
    };
}

/// QEMU has ended before it took the connection to it.
#[derive(Debug)]
pub struct NotStarted {
    /// How it has ended.
    pub status: ExitStatus,
    messages: String,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.messages)
    }
}

impl Error for NotStarted {}

/// A QEMU process. It ends with this.
pub struct Vmm {
    name: String,
    /// Whether the guest has to be stopped before it migrates.
    must_stop: bool,
    child: Child,
    qmp: Qmp,
    orders: Orders,
    /// The names of the events that it has sent.
    events: Vec<String>,
    /// Its own messages.
    log: PathBuf,
}

impl Vmm {
    /// Starts QEMU for the guest, with VFs for it that can migrate. Fails with [`NotStarted`] if
    /// QEMU refuses to.
    pub fn start(
        name: &str,
        role: Role,
        kind: Kind,
        vfs: &[Function],
        guest: &Guest,
    ) -> Result<Self> {
        let start = Start {
            role,
            ..Start::USUAL
        };
        Self::start_with(name, start, kind, vfs, guest)
    }

    /// As [`Self::start`], with VFs that cannot migrate.
    pub fn start_unmigratable(
        name: &str,
        kind: Kind,
        vfs: &[Function],
        guest: &Guest,
    ) -> Result<Self> {
        let start = Start {
            can_migrate: false,
            ..Start::USUAL
        };
        Self::start_with(name, start, kind, vfs, guest)
    }

    /// As [`Self::start`], with an IOMMU between the guest and its VFs. The guest does not run
    /// before the command `cont`.
    pub fn start_behind(
        name: &str,
        viommu: Viommu,
        kind: Kind,
        vfs: &[Function],
        guest: &Guest,
    ) -> Result<Self> {
        let start = Start {
            viommu: Some(viommu),
            ..Start::USUAL
        };
        Self::start_with(name, start, kind, vfs, guest)
    }

    fn start_with(
        name: &str,
        start: Start,
        kind: Kind,
        vfs: &[Function],
        guest: &Guest,
    ) -> Result<Self> {
        let Start {
            role,
            can_migrate,
            viommu,
        } = start;
        let mut tracked = can_migrate;
        for vf in vfs.iter().filter(|_| can_migrate) {
            tracked &= tracks_dirty_pages(vf, kind)?;
        }
        // As QEMU's default, where that is enough.
        let migration = match (can_migrate, tracked) {
            (true, true) => "",
            (true, false) => ",enable-migration=on",
            (false, _) => ",enable-migration=off",
        };
        let socket = format!("/tmp/{name}.qmp");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let log = PathBuf::from(format!("/tmp/{name}.log"));
        let pipe = PathBuf::from(format!("/tmp/{name}.orders"));
        let orders = Orders::new(&pipe)?;
        let mut command = Command::new(PROGRAM);
        let machine = match viommu {
            Some(Viommu::Smmuv3) => "virt,gic-version=3,its=on,iommu=smmuv3",
            _ => "virt,gic-version=3,its=on",
        };
        command
            .args(["-M", machine, "-accel", "kvm"])
            .args(["-cpu", "host", "-smp", "1", "-m"])
            .arg(format!("{}M", guest.mebibytes()))
            .args(["-nodefaults", "-no-user-config", "-nographic"])
            .args(["-kernel", "/guest/Image", "-initrd", "/guest/initrd.cpio"])
            .args(["-append", &guest.command_line()])
            .args(guest.serial_ports(&pipe))
            .args(["-chardev", &format!("socket,id=qmp,path={socket}")])
            .args(["-mon", "chardev=qmp,mode=control"]);
        let container = match kind {
            Kind::Type1 => "",
            Kind::Iommufd => {
                command.args(["-object", "iommufd,id=iommufd0"]);
                ",iommufd=iommufd0"
            }
        };
        if viommu == Some(Viommu::Virtio) {
            command.args(["-device", "virtio-iommu-pci"]);
        }
        if viommu.is_some() {
            command.arg("-S");
        }
        for vf in vfs {
            command.args([
                "-device",
                &format!("vfio-pci,host={vf}{container}{migration}"),
            ]);
        }
        if role == Role::Waits {
            // Whoever moves the guest has it go on: a source that was told to cancel when all was
            // sent lets its guest go on as well.
            command.args(["-S", "-incoming", "defer"]);
        }
        let file = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}"))?;
        let qmp = connect(&listener, &mut child, &log);
        match qmp {
            Ok(qmp) => Ok(Vmm {
                name: name.into(),
                must_stop: kind == Kind::Iommufd && !tracked,
                child,
                qmp,
                orders,
                events: Vec::new(),
                log,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context(format!("{name} does not start")))
            }
        }
    }

    /// The guest migrates without being stopped first, even if QEMU loses what its VFs write.
    pub fn without_stop_first(mut self) -> Self {
        self.must_stop = false;
        self
    }

    /// Runs a QMP command. Events that QEMU sends meanwhile go to the runner.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let result = self.qmp.execute(command, arguments);
        for event in self.qmp.take_events() {
            self.events.push(event.name.clone());
            // Many, each for a look at all of the guest's memory.
            if event.name == "MIGRATION_PASS" {
                continue;
            }
            let name = match event.data["status"].as_str() {
                Some(status) => format!("{} {status}", event.name),
                None => event.name,
            };
            tell_of(
                event.at,
                What::Monitor {
                    vmm: self.name.clone(),
                    event: name,
                },
            );
        }
        result.with_context(|| format!("{}: {}", self.name, last_words(&self.log)))
    }

    /// QEMU's release, and its package.
    pub fn version(&mut self) -> Result<String> {
        let version = self.execute("query-version", json!({}))?;
        let number = |part: &str| version["qemu"][part].as_u64().unwrap_or_default();
        let package = version["package"].as_str().unwrap_or_default();
        let [major, minor, micro] = ["major", "minor", "micro"].map(number);
        Ok(format!("{major}.{minor}.{micro} {package}"))
    }

    /// Switches capabilities of migrations, by QEMU's names for them.
    pub fn set_capabilities(&mut self, names: &[&str], state: bool) -> Result<()> {
        let each = names.iter();
        let capabilities = each.map(|name| json!({ "capability": name, "state": state }));
        let arguments = json!({ "capabilities": capabilities.collect::<Vec<_>>() });
        self.execute("migrate-set-capabilities", arguments)
            .map(drop)
    }

    /// What the guest does, in QEMU's words (`RunState` of its schema).
    pub fn status(&mut self) -> Result<String> {
        let status = self.execute("query-status", json!({}))?;
        let status = status["status"].as_str().context("a status has no name")?;
        Ok(status.to_owned())
    }

    /// Waits until the guest is in that state.
    pub fn reaches(&mut self, wanted: &str, within: Duration) -> Result<()> {
        let deadline = Deadline::after(within);
        loop {
            let status = self.status()?;
            if status == wanted {
                return Ok(());
            }
            if deadline.is_over() {
                bail!("{}: {wanted} was to come, it is {status}", self.name);
            }
            std::thread::sleep(POLL);
        }
    }

    /// How often QEMU has sent this event.
    pub fn told(&self, event: &str) -> usize {
        self.events.iter().filter(|told| *told == event).count()
    }

    /// QEMU's own messages, the last ones.
    pub fn messages(&self) -> String {
        last_words(&self.log)
    }

    /// Fails if QEMU has ended by a signal, as it does by `hw_error()`.
    pub fn has_not_aborted(&mut self) -> Result<()> {
        match self.child.try_wait()?.and_then(|status| status.signal()) {
            None => Ok(()),
            Some(signal) => bail!("{}: signal {signal}: {}", self.name, last_words(&self.log)),
        }
    }

    /// Ends QEMU at once, as a host does that loses its power.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends QEMU, and with it the use of its VFs.
    pub fn quit(mut self) -> Result<()> {
        self.execute("quit", json!({}))?;
        self.wait(PATIENCE)
    }

    /// Waits until QEMU has ended without being killed, and without an error.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let status = self.ends(timeout)?;
        let messages = || format!("{}: {status}: {}", self.name, last_words(&self.log));
        ensure!(status.success(), messages());
        Ok(())
    }

    /// Waits until QEMU has ended without being killed.
    pub fn ends(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Deadline::after(timeout);
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None if deadline.is_over() => {
                    bail!("{} has not ended in {:?}", self.name, deadline.limit)
                }
                None => std::thread::sleep(POLL),
            }
        }
    }
}

/// The way to the guest's control port.
impl AsMut<Orders> for Vmm {
    fn as_mut(&mut self) -> &mut Orders {
        &mut self.orders
    }
}

impl Drop for Vmm {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(listener: &UnixListener, child: &mut Child, log: &Path) -> Result<Qmp> {
    listener.set_nonblocking(true)?;
    let deadline = Deadline::after(PATIENCE);
    // QEMU connects before it makes its devices, and may end then.
    let mut broken = None;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                match Qmp::connect(stream) {
                    Ok(qmp) => return Ok(qmp),
                    Err(error) => broken = Some(error),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Some(status) = child.try_wait()? {
                    let messages = last_words(log);
                    bail!(NotStarted { status, messages });
                }
                if deadline.is_over() {
                    let limit = deadline.limit;
                    let error = broken.unwrap_or_else(|| anyhow!("not a word in {limit:?}"));
                    return Err(error.context(last_words(log)));
                }
                std::thread::sleep(POLL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The end of QEMU's own messages, without the registers that `hw_error()` adds.
fn last_words(log: &Path) -> String {
    let text = sysfs::read(log).unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.starts_with("CPU #"));
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
